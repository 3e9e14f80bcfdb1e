//! Which of Intel's levels a platform, its TDX module and its quoting enclave reach, and the verdict that follows.
//!
//! The first level all of whose versions are reached counts, from the highest down. The module and the quoting enclave
//! can only make the platform's verdict worse. A domain of 1.5 is judged twice, as launched and as it runs: where only the
//! launch is out of date, a relaunch is advised.
//!
//! Must never skip what it does not understand: an unknown verdict, a missing component or no level at all refuses.

use super::collateral::{Component, EnclaveLevel, Identity, Module, TcbInfo, TcbLevel, Verdict};
use super::pck::Platform;
use super::quote::{Domain, Enclave};
use crate::appraisal::{IntelStatus, Reason};
use crate::time;

/// What Intel's collateral says of a platform.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) status: IntelStatus,
    /// The level's date: its firmware is at least that new.
    pub(super) since: u64,
    pub(super) advisories: Vec<String>,
}

impl Standing {
    fn of(verdict: &Verdict) -> Result<Self, Reason> {
        Ok(Self {
            status: status(&verdict.status).ok_or(Reason::BadCollateral)?,
            since: time::of_text(&verdict.date).ok_or(Reason::BadCollateral)?,
            advisories: verdict.advisories.clone(),
        })
    }

    /// With a part that has its own verdict.
    pub(super) fn with(mut self, part: Self) -> Self {
        use IntelStatus as It;
        self.status = match (part.status, self.status) {
            (It::Revoked, _) => It::Revoked,
            (It::OutOfDate, It::UpToDate | It::SwHardeningNeeded) => It::OutOfDate,
            (It::OutOfDate, It::ConfigurationNeeded | It::ConfigurationAndSwHardeningNeeded) => {
                It::OutOfDateConfigurationNeeded
            }
            (_, status) => status,
        };
        self.since = self.since.min(part.since);
        for it in part.advisories {
            if !self.advisories.contains(&it) {
                self.advisories.push(it);
            }
        }
        self
    }

    /// Launched so; it runs on `now`, after an update below the running domain.
    pub(super) fn relaunch(mut self, now: &Self) -> Self {
        use IntelStatus as It;
        let late = matches!(self.status, It::OutOfDate | It::OutOfDateConfigurationNeeded);
        let (fresh, configure) = match now.status {
            It::UpToDate | It::SwHardeningNeeded => (true, false),
            It::ConfigurationNeeded | It::ConfigurationAndSwHardeningNeeded => (true, true),
            It::OutOfDate
            | It::OutOfDateConfigurationNeeded
            | It::TdRelaunchAdvised
            | It::TdRelaunchAdvisedConfigurationNeeded
            | It::Revoked => (false, false),
        };
        if late && fresh {
            let both = configure || self.status == It::OutOfDateConfigurationNeeded;
            self.status =
                if both { It::TdRelaunchAdvisedConfigurationNeeded } else { It::TdRelaunchAdvised };
        }
        self
    }
}

/// The quoting enclave is Intel's, and how current it is.
pub(super) fn quoter(it: &Enclave<'_>, identity: &Identity, sgx: bool) -> Result<Standing, Reason> {
    let known = match sgx {
        true => identity.id == "QE" && identity.version == 2,
        false => identity.id == "TD_QE" && matches!(identity.version, 2 | 3),
    };
    let same = known
        && it.signer()? == identity.mrsigner
        && it.product()? == identity.isvprodid
        && masked(&it.misc()?, &identity.miscselect, &identity.miscselect_mask)
        && masked(&it.attributes()?, &identity.attributes, &identity.attributes_mask);
    if !same {
        return Err(Reason::OtherPlatform);
    }
    if it.attributes()?.first().is_none_or(|bits| bits & super::SGX_DEBUG != 0) {
        return Err(Reason::Debug);
    }
    reached(&identity.tcb_levels, it.version()?)
}

/// The platform, for an enclave.
pub(super) fn enclave(info: &TcbInfo, platform: &Platform) -> Result<Standing, Reason> {
    about(info, platform, "SGX")?;
    level(info, platform, None)
}

/// The platform and its module, for a domain.
pub(super) fn domain(
    info: &TcbInfo,
    platform: &Platform,
    it: &Domain<'_>,
    quoter: Standing,
) -> Result<Standing, Reason> {
    about(info, platform, "TDX")?;
    let launched = it.launched_on()?;
    let module = match version(info, launched)? {
        Some((module, _)) => module,
        None => info.tdx_module.as_ref().ok_or(Reason::BadCollateral)?,
    };
    let attributes = it.module_attributes()?;
    let same = it.module_signer()? == module.mrsigner
        && masked(&attributes, &module.attributes, &module.attributes_mask)
        && attributes.iter().zip(module.attributes_mask).all(|(it, mask)| it & !mask == 0);
    if !same {
        return Err(Reason::OtherPlatform);
    }
    let standing = level(info, platform, Some(launched))?.with(quoter.clone());
    let Some(now) = it.runs_on()? else { return Ok(standing) };
    let now = level(info, platform, Some(now))?.with(quoter);
    if now.status == IntelStatus::Revoked {
        return Err(Reason::Revoked);
    }
    Ok(standing.relaunch(&now))
}

/// The collateral is about platforms of this family.
fn about(info: &TcbInfo, platform: &Platform, id: &str) -> Result<(), Reason> {
    let about = info.id == id
        && info.version == 3
        && info.tcb_type == 0
        && info.fmspc == platform.family
        && info.pce_id == platform.pce;
    if about { Ok(()) } else { Err(Reason::OtherPlatform) }
}

/// The level reached by the platform's versions and those of the module.
fn level(
    info: &TcbInfo,
    platform: &Platform,
    module: Option<[u8; 16]>,
) -> Result<Standing, Reason> {
    let mut levels: Vec<&TcbLevel> = info.tcb_levels.iter().collect();
    levels.sort_by(|a, b| {
        let order = |it: &TcbLevel| (it.tcb.sgx, it.tcb.pcesvn, it.tcb.tdx);
        order(b).cmp(&order(a))
    });
    for it in levels {
        if is_reached(it, platform, module.as_ref())? {
            let standing = Standing::of(&it.verdict)?;
            let Some(module) = module else { return Ok(standing) };
            return Ok(match version(info, module)? {
                Some((_, levels)) => standing.with(reached(levels, u16::from(module[0]))?),
                None => standing,
            });
        }
    }
    Err(Reason::NoTcbLevel)
}

fn is_reached(
    it: &TcbLevel,
    platform: &Platform,
    module: Option<&[u8; 16]>,
) -> Result<bool, Reason> {
    let reach = |has: &[u8], least: &[Component]| {
        has.iter().zip(least).all(|(has, least)| *has >= least.svn)
    };
    let base = reach(&platform.components, &it.tcb.sgx) && platform.pce_version >= it.tcb.pcesvn;
    let Some(module) = module else { return Ok(base) };
    let least = it.tcb.tdx.as_ref().ok_or(Reason::BadCollateral)?;
    // From the module's first major version on, its own levels judge the first two.
    let skip = if module[1] > 0 { 2 } else { 0 };
    let (has, least) = (module.get(skip..), least.get(skip..));
    Ok(base && has.zip(least).is_some_and(|(has, least)| reach(has, least)))
}

/// What the collateral says of the module's major version; version 0 has nothing of its own.
fn version(
    info: &TcbInfo,
    [_, major, ..]: [u8; 16],
) -> Result<Option<(&Module, &[EnclaveLevel])>, Reason> {
    if major == 0 {
        return Ok(None);
    }
    let name = format!("TDX_{major:02X}");
    let mut found = info.tdx_module_identities.iter().filter(|it| it.id == name);
    let it = found.next().ok_or(Reason::NoTcbLevel)?;
    Ok(Some((&it.module, &it.tcb_levels)))
}

/// The highest of these levels that a version reaches.
fn reached(levels: &[EnclaveLevel], version: u16) -> Result<Standing, Reason> {
    let reached = levels.iter().filter(|it| it.tcb.isvsvn <= version);
    let it = reached.max_by_key(|it| it.tcb.isvsvn).ok_or(Reason::NoTcbLevel)?;
    Standing::of(&it.verdict)
}

fn masked(has: &[u8], expected: &[u8], mask: &[u8]) -> bool {
    has.len() == mask.len()
        && expected.len() == mask.len()
        && has.iter().zip(expected).zip(mask).all(|((has, it), mask)| (has ^ it) & mask == 0)
}

/// The verdict that Intel's collateral writes; the two about a relaunch follow from two others and stand in none.
fn status(name: &str) -> Option<IntelStatus> {
    let relaunch = |it: &IntelStatus| {
        use IntelStatus::{TdRelaunchAdvised, TdRelaunchAdvisedConfigurationNeeded};
        matches!(it, TdRelaunchAdvised | TdRelaunchAdvisedConfigurationNeeded)
    };
    let mut all = IntelStatus::ALL.into_iter().chain([IntelStatus::Revoked]);
    all.find(|it| it.name() == name && !relaunch(it))
}

#[cfg(test)]
mod tests {
    use super::Standing;
    use crate::appraisal::IntelStatus::{self as It, *};

    fn standing(status: It, advisory: &str) -> Standing {
        Standing { status, since: 7, advisories: vec![advisory.to_owned()] }
    }

    #[test]
    fn a_part_makes_the_verdict_worse_only() {
        for (platform, part, expected) in [
            (UpToDate, OutOfDate, OutOfDate),
            (SwHardeningNeeded, OutOfDate, OutOfDate),
            (ConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded),
            (ConfigurationAndSwHardeningNeeded, OutOfDate, OutOfDateConfigurationNeeded),
            (OutOfDateConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded),
            (ConfigurationNeeded, Revoked, Revoked),
            (Revoked, UpToDate, Revoked),
            (UpToDate, ConfigurationNeeded, UpToDate),
            (SwHardeningNeeded, UpToDate, SwHardeningNeeded),
        ] {
            let part = Standing { since: 3, ..standing(part, "b") };
            let both = standing(platform, "a").with(part.clone()).with(part);
            assert_eq!((both.status, both.since), (expected, 3));
            assert_eq!(both.advisories, ["a", "b"]);
        }
    }

    #[test]
    fn a_relaunch_is_advised_where_only_the_launch_is_old() {
        for (launched, now, expected) in [
            (OutOfDate, UpToDate, TdRelaunchAdvised),
            (OutOfDate, SwHardeningNeeded, TdRelaunchAdvised),
            (OutOfDate, ConfigurationNeeded, TdRelaunchAdvisedConfigurationNeeded),
            (OutOfDateConfigurationNeeded, UpToDate, TdRelaunchAdvisedConfigurationNeeded),
            (OutOfDate, OutOfDate, OutOfDate),
            (OutOfDate, Revoked, OutOfDate),
            (UpToDate, OutOfDate, UpToDate),
            (ConfigurationNeeded, UpToDate, ConfigurationNeeded),
        ] {
            let it = standing(launched, "a").relaunch(&standing(now, "b"));
            assert_eq!(it.status, expected, "{launched:?} {now:?}");
        }
    }
}
