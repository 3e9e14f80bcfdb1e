//! One constraint, as TC609 and as we say it.
//!
//! Never guesses: a value that is not in the dictionary's form has no reading here, and a value of ours that does not fit
//! that form has no writing. What reads here is written back to the letter (the callers check it).

use serde_json::Value as Json;

use crate::limits::POLICY_LIST;
use crate::policy::model::{Atomic, Constraint as Ours, Operand, Operator, Value};
use crate::policy::network::Network;
use crate::policy::span::Span;
use crate::policy::terms::Price;
use crate::tc609::code::{moment, write_moment};
use crate::tc609::document::{Constraint, Name};
use crate::tc609::words::{ConstraintWord, Form, OperatorWord};
use crate::time::Time;

use super::PREFIX;

/// Whether a count holds for each window: `count` and `timeWindow` with 01 in one policy (annex D, scenario 1). We have no
/// words for both that come back as two.
pub(super) fn windowed(all: &[Constraint]) -> bool {
    let has = |code, op: Option<Operator>| {
        all.iter()
            .any(|it| it.name.code() == code && op.as_ref().is_none_or(|op| *op == it.op.ours))
    };
    has("count", None) && has("timeWindow", Some(Operator::Eq))
}

/// A frequency and the window that it is counted in.
pub(super) struct Rate {
    /// Where both stand.
    pub(super) at: [usize; 2],
    pub(super) ours: Ours,
}

/// `frequency` beside the only `timeWindow`, with 01, in one policy: so many uses in any such period. Beside a `count` it is
/// not said which of the two the window is for.
pub(super) fn rate(all: &[Constraint]) -> Option<Rate> {
    let named = |code: &'static str| {
        let mut found = all.iter().enumerate().filter(move |(_, it)| it.name.code() == code);
        (found.next(), found.next().is_none())
    };
    let (Some((at, number)), true) = named("frequency") else { return None };
    let (Some((window_at, window)), true) = named("timeWindow") else { return None };
    if named("count").0.is_some() || window.op.ours != Operator::Eq {
        return None;
    }
    let says = |it: &Constraint, most: usize| it.value.chars().nth(most).is_none();
    let most = |it: &Constraint| match &it.name {
        Name::Listed(word) => Some(word.most),
        Name::Extension | Name::Unlisted(_) => None,
    };
    let fits = says(number, most(number)?) && says(window, most(window)?);
    let upper = matches!(number.op.ours, Operator::Eq | Operator::Lt | Operator::Lteq);
    let read = self::number(&number.value) && Span::parse(&window.value).is_ok();
    (fits && upper && read).then(|| {
        let right = Value::text(format!("{}/{}", number.value, window.value));
        let ours = Atomic::new(Operand::Frequency, number.op.ours.clone(), right).into();
        Rate { at: [at, window_at], ours }
    })
}

/// `tidm:frequency` as the two of them. `None`: it would not be read back as it is.
pub(super) fn write_rate(it: &Atomic) -> Option<[Constraint; 2]> {
    let (number, span) = scalar(&it.right)?.split_once('/')?;
    let said = |left: &Operand, op: &Operator, value: &str| {
        let name = Name::Listed(ConstraintWord::for_ours(left)?);
        Some(Constraint { name, op: OperatorWord::for_ours(op)?, value: value.to_owned() })
    };
    let both = [
        said(&Operand::Frequency, &it.op, number)?,
        said(&Operand::TimeInterval, &Operator::Eq, span)?,
    ];
    (rate(&both)?.ours == Ours::from(it.clone())).then_some(both)
}

/// What it says in our words. `None`: we have none, or it is not in its form.
pub(super) fn read(it: &Constraint, windowed: bool) -> Option<Vec<Ours>> {
    let Name::Listed(word) = &it.name else { return None };
    let code = word.code;
    // By itself a frequency has no period, see `rate`.
    if code == "frequency"
        || windowed && (code == "count" || code == "timeWindow")
        || it.value.chars().nth(word.most).is_some()
    {
        return None;
    }
    let text = it.value.as_str();
    let plain = || Value::text(text);
    let mut left = word.ours.clone()?;
    let right = match word.form {
        Form::Moment => Value::text(moment(text)?.to_string()),
        Form::Span => {
            Span::parse(text).ok()?;
            left = window(&it.op.ours)?;
            plain()
        }
        Form::Number => number(text).then(plain)?,
        Form::Text => plain(),
        Form::Names => names(text)?,
        Form::Places => {
            let all = names(text)?;
            if !networks(&all)? {
                left = Operand::VirtualLocation;
            }
            all
        }
        Form::Codes(table) => Value::text(table.iter().find(|(code, _)| *code == text)?.1),
        Form::Price => return price(text, &it.op.ours),
    };
    Some(vec![Atomic::new(left, it.op.ours.clone(), right).into()])
}

/// Under its own name, which no node signs.
pub(super) fn unread(it: &Constraint) -> Ours {
    let left = Operand::Unknown(format!("{PREFIX}{}", it.name.code()));
    Atomic::new(left, it.op.ours.clone(), Value::text(&*it.value)).into()
}

/// In TC609's words. `None`: there are none.
pub(super) fn write(it: &Atomic) -> Option<Constraint> {
    if it.unit.is_some() || !it.unsupported.is_empty() {
        return None;
    }
    let op = OperatorWord::for_ours(&it.op)?;
    if let Operand::Unknown(name) = &it.left {
        let name = Name::from_code(name.strip_prefix(PREFIX)?)?;
        let Value::Text(value) = &it.right else { return None };
        return Some(Constraint { name, op, value: value.clone() });
    }
    let word = ConstraintWord::for_ours(&it.left)?;
    let value = match word.form {
        Form::Moment => write_moment(Time::parse(scalar(&it.right)?).ok()?)?,
        Form::Span | Form::Number | Form::Text => scalar(&it.right)?.to_owned(),
        Form::Names | Form::Places => write_names(&it.right)?,
        Form::Codes(table) => {
            let name = scalar(&it.right)?;
            table.iter().find(|(_, ours)| *ours == name)?.0.to_owned()
        }
        Form::Price => return None,
    };
    Some(Constraint { name: Name::Listed(word), op, value })
}

/// An amount and its currency, one after the other, are one constraint there.
pub(super) fn write_price(amount: &Atomic, currency: &Atomic) -> Option<Constraint> {
    let text = format!("{} {}", scalar(&amount.right)?, scalar(&currency.right)?);
    let word = ConstraintWord::for_ours(&Operand::PayAmount)?;
    let it = Constraint {
        name: Name::Listed(word),
        op: OperatorWord::for_ours(&Operator::Eq)?,
        value: text,
    };
    let pair = [Ours::from(amount.clone()), Ours::from(currency.clone())];
    (read(&it, false)? == pair).then_some(it)
}

fn price(text: &str, op: &Operator) -> Option<Vec<Ours>> {
    let (amount, currency) = text.split_once(' ')?;
    Price::parse(amount, currency).ok()?;
    (*op == Operator::Eq).then(|| {
        let say = |left, text| Atomic::new(left, Operator::Eq, Value::text(text)).into();
        vec![say(Operand::PayAmount, amount), say(Operand::Currency, currency)]
    })
}

fn window(op: &Operator) -> Option<Operand> {
    if *op == Operator::Eq {
        return Some(Operand::TimeInterval);
    }
    (*op == Operator::Lteq).then_some(Operand::ElapsedTime)
}

fn number(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_digit()) && text.parse::<u64>().is_ok()
}

fn scalar(it: &Value) -> Option<&str> {
    match it {
        Value::Text(text) => Some(text),
        Value::Typed { .. } | Value::Reference(_) | Value::List(_) | Value::Opaque(_) => None,
    }
}

/// A name, or a JSON list of names.
fn names(text: &str) -> Option<Value> {
    if !text.starts_with('[') {
        return Some(Value::text(text));
    }
    let list: Json = serde_json::from_str(text).ok()?;
    // Another spelling would come back as this one.
    let Json::Array(all) = &list else { return None };
    let written = list.to_string();
    if written.as_str() != text || all.is_empty() || all.len() > POLICY_LIST {
        return None;
    }
    let all: Option<Vec<Value>> = all.iter().map(|it| it.as_str().map(Value::text)).collect();
    all.map(Value::List)
}

fn write_names(it: &Value) -> Option<String> {
    match it {
        Value::Text(text) => Some(text.clone()),
        Value::List(all) => {
            let all: Option<Vec<Json>> = all.iter().map(|it| Some(scalar(it)?.into())).collect();
            all.map(|all| Json::Array(all).to_string())
        }
        Value::Typed { .. } | Value::Reference(_) | Value::Opaque(_) => None,
    }
}

/// Whether all are networks (`true`) or none (`false`); `None`: some are.
fn networks(it: &Value) -> Option<bool> {
    let all: Vec<bool> = it.texts()?.iter().map(|it| Network::parse(it).is_ok()).collect();
    match (all.iter().any(|it| *it), all.iter().all(|it| *it)) {
        (_, true) => Some(true),
        (false, false) => Some(false),
        (true, false) => None,
    }
}
