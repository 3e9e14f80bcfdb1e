//! What ODRL's actions mean for each other: which includes which, which implies which, when a duty of each is due.
//!
//! Facts of the vocabulary (ODRL Vocabulary §4.4, §4.5, §4.8), with deviations towards less: `use` does not include
//! `distribute` and `grantUse`, which hand data on and must be said; `display` and `aggregate` lie in `read`, since
//! that is what such uses are here. Never says whether anybody can enforce an action ([`super::reach`] does).

use crate::lang::Lang;
use crate::policy::model::Action;

/// When a duty is to be done, seen from the use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Without it there is no use.
    Before,
    /// As long as the use lasts.
    During,
    /// Owed from the use on.
    After,
}

impl Action {
    /// The current word for a deprecated one.
    pub fn current(&self) -> &Self {
        const WORDS: [(Action, Action); 8] = [
            (Action::Append, Action::Modify),
            (Action::AppendTo, Action::Modify),
            (Action::Write, Action::Modify),
            (Action::WriteTo, Action::Modify),
            (Action::Copy, Action::Reproduce),
            (Action::Export, Action::Transform),
            (Action::License, Action::GrantUse),
            (Action::Pay, Action::Compensate),
        ];
        WORDS.iter().find_map(|(old, new)| (old == self).then_some(new)).unwrap_or(self)
    }

    /// ODRL `includedIn`: the next wider action, none for the widest and for words of other vocabularies.
    pub fn included_in(&self) -> Option<Self> {
        let it = self.current();
        if matches!(it, Self::Use | Self::Transfer | Self::Unknown(_)) {
            return None;
        }
        // Handing on: see the module's deviations.
        if matches!(it, Self::Distribute | Self::GrantUse) {
            return None;
        }
        Some(if matches!(it, Self::Sell | Self::Give) {
            Self::Transfer
        } else if *it == Self::Extract {
            Self::Reproduce
        } else if matches!(it, Self::Display | Self::Aggregate) {
            Self::Read
        } else {
            Self::Use
        })
    }

    /// ODRL `implies`: what cannot be denied to whom this is granted. A query with aggregate results reads.
    pub fn implies(&self) -> Option<Self> {
        (*self == Self::Aggregate).then_some(Self::Read)
    }

    /// Whether a permission for this permits `asked`.
    pub fn covers(&self, asked: &Self) -> bool {
        let mut at = Some(asked.current().clone());
        while let Some(it) = at {
            if it == *self.current() {
                return true;
            }
            at = it.included_in();
        }
        self.implies().as_ref() == Some(asked)
    }

    /// A prohibition also stops a wider act than it names: who may not read may not use freely. Not where it is about what becomes
    /// of data afterwards: who may not hand them on, or offer what was made of them, may use them.
    pub fn stops(&self, asked: &Self) -> bool {
        let afterwards = matches!(self.current(), Self::Distribute | Self::Derive);
        self.covers(asked) || (asked.covers(self) && !afterwards)
    }

    /// When a duty of this kind is due; `condition`: it stands inside a permission (ODRL §2.6.3).
    pub fn phase(&self, condition: bool) -> Phase {
        let it = self.current();
        // Nobody can do these before the use.
        if matches!(it, Self::Delete | Self::Uninstall) {
            return Phase::After;
        }
        let lasting = matches!(
            it,
            Self::AcceptTracking
                | Self::Anonymize
                | Self::EnsureExclusivity
                | Self::NextPolicy
                | Self::Watermark
        );
        match (lasting, condition || matches!(it, Self::ObtainConsent | Self::ReviewPolicy)) {
            (true, _) => Phase::During,
            (false, true) => Phase::Before,
            (false, false) => Phase::After,
        }
    }

    /// As a noun phrase (English) or verb (Chinese).
    pub fn words(&self, lang: Lang) -> &str {
        let (zh, en) = match self {
            Self::Use => ("使用", "use"),
            Self::Read => ("读取", "reading"),
            Self::Display => ("打开查看", "opening for viewing"),
            Self::Aggregate => ("汇总查询", "queries with aggregate results"),
            Self::Distribute => ("导出或转交第三方", "export to third parties"),
            Self::Delete => ("删除", "deletion"),
            Self::Compensate | Self::Pay => ("付费", "payment"),
            Self::AcceptTracking => ("接受使用跟踪", "accepting that use is tracked"),
            Self::Annotate => ("加注", "annotation"),
            Self::Anonymize => ("匿名化", "anonymisation"),
            Self::Archive => ("长期存储", "archiving"),
            Self::Attribute => ("署名", "attribution"),
            Self::ConcurrentUse => ("并发使用", "concurrent use"),
            Self::Derive => ("制作并提供衍生产品", "making derived products for others"),
            Self::Digitize => ("数字化", "digitisation"),
            Self::EnsureExclusivity => ("保证独家", "keeping the use exclusive"),
            Self::Execute => ("执行", "execution"),
            Self::Extract => ("摘取", "extraction"),
            Self::Give => ("赠与", "giving away"),
            Self::GrantUse | Self::License => ("授权他人使用", "granting use to others"),
            Self::Include => ("并入", "inclusion"),
            Self::Index => ("编入索引", "indexing"),
            Self::Inform => ("通知", "notification"),
            Self::Install => ("安装", "installation"),
            Self::Modify | Self::Append | Self::AppendTo | Self::Write | Self::WriteTo => {
                ("修改", "modification")
            }
            Self::Move => ("移动", "moving"),
            Self::NextPolicy => ("传递后续策略", "passing the policy on"),
            Self::ObtainConsent => ("取得同意", "obtaining consent"),
            Self::Play => ("播放", "playing"),
            Self::Present => ("展示", "presentation"),
            Self::Print => ("打印", "printing"),
            Self::Reproduce | Self::Copy => ("复制", "copying"),
            Self::ReviewPolicy => ("人工审核策略", "review of the policy by a person"),
            Self::Sell => ("出售", "sale"),
            Self::Stream => ("流式交付", "streaming"),
            Self::Synchronize => ("与媒体同步", "synchronisation with media"),
            Self::TextToSpeech => ("语音朗读", "text to speech"),
            Self::Transfer => ("转让所有权", "transfer of ownership"),
            Self::Transform | Self::Export => ("格式转换", "conversion"),
            Self::Translate => ("翻译", "translation"),
            Self::Uninstall => ("卸载", "uninstallation"),
            Self::Watermark => ("添加水印", "watermarking"),
            Self::Unknown(name) => return name,
        };
        lang.pick(zh, en)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_a_forest() {
        for action in Action::KNOWN {
            let mut at = action.clone();
            for _ in 0..4 {
                match at.included_in() {
                    Some(wider) => at = wider,
                    None => break,
                }
            }
            assert!(at.included_in().is_none(), "{action:?} goes in circles");
            assert!(action.covers(action) && action.stops(action), "{action:?}");
            for lang in [Lang::Zh, Lang::En] {
                assert!(!action.words(lang).is_empty());
            }
        }
    }

    #[test]
    fn wider_permissions_cover_narrower_acts() {
        use Action as A;
        for (granted, asked, covers, stops) in [
            (A::Use, A::Read, true, true),
            (A::Use, A::Write, true, true),
            (A::Modify, A::Write, true, true),
            (A::Write, A::Modify, true, true),
            (A::Use, A::Extract, true, true),
            (A::Reproduce, A::Extract, true, true),
            (A::Extract, A::Copy, false, true),
            (A::Use, A::Sell, false, false),
            (A::Transfer, A::Sell, true, true),
            (A::Use, A::Distribute, false, false),
            (A::Use, A::GrantUse, false, false),
            (A::Read, A::Use, false, true),
            (A::Distribute, A::Use, false, false),
            (A::Display, A::Read, false, true),
            (A::Aggregate, A::Read, true, true),
            (A::Unknown("dance".to_owned()), A::Use, false, false),
            (A::Use, A::Unknown("dance".to_owned()), false, false),
        ] {
            assert_eq!(granted.covers(&asked), covers, "{granted:?} covers {asked:?}");
            assert_eq!(granted.stops(&asked), stops, "{granted:?} stops {asked:?}");
        }
    }
}
