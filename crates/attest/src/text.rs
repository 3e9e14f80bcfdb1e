//! Evidence and policies as JSON, as people and programs write them.
//!
//! Threat model: evidence text is the prover's, a policy the operator's. Both are bounded before they are read; unknown
//! members refuse (a demand that nobody reads would look like protection). Collateral is kept byte for byte.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::appraisal::{IntelStatus, SnpTcb};
use crate::evidence::{Evidence, Kind};
use crate::policy::{Chips, LeastTcb, Policy};
use crate::{limits, time};

/// A policy to begin with: it accepts nothing until its values are filled in.
pub const EXAMPLE: &str = include_str!("example.json");

/// What is wrong with a text, for its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadText(pub String);

impl std::fmt::Display for BadText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadText {}

fn bad<T>(why: impl ToString) -> Result<T, BadText> {
    Err(BadText(why.to_string()))
}

/// Evidence as read, with what lies beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The report or quote.
    pub report: Vec<u8>,
    /// The challenge that it answers, where it answers one.
    pub nonce: Option<[u8; 32]>,
    pub(crate) beside: Beside,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Snp { vcek: Vec<u8>, ask: Vec<u8>, ark: Vec<u8> },
    Intel { collateral: Option<Vec<u8>> },
    Csv { hrk: Vec<u8>, hsk: Vec<u8>, cek: Vec<u8> },
    Tpm { key: Vec<u8>, signature: Vec<u8>, pcrs: Vec<[u8; 32]> },
    Simulated,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    format: String,
    report: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vcek: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hrk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hsk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cek: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcrs: Option<Vec<String>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    collateral: Option<&'a RawValue>,
}

impl Text {
    /// Reads `{"format": "snp", "report": base64, "vcek": base64, …}`.
    ///
    /// # Errors
    /// What is wrong, for the writer.
    pub fn read(json: &[u8]) -> Result<Self, BadText> {
        if json.len() > limits::TEXT {
            return bad("longer than any evidence");
        }
        let raw: Raw<'_> = serde_json::from_slice(json).or_else(bad)?;
        let need = |name: &str, it: &Option<String>| match it {
            Some(text) => base64(name, text),
            None => bad(format!("{name} is missing")),
        };
        let beside = match raw.format.as_str() {
            "snp" => Beside::Snp {
                vcek: need("vcek", &raw.vcek)?,
                ask: need("ask", &raw.ask)?,
                ark: need("ark", &raw.ark)?,
            },
            "intel" => {
                Beside::Intel { collateral: raw.collateral.map(|it| it.get().as_bytes().to_vec()) }
            }
            "csv" => Beside::Csv {
                hrk: need("hrk", &raw.hrk)?,
                hsk: need("hsk", &raw.hsk)?,
                cek: need("cek", &raw.cek)?,
            },
            "tpm" => Beside::Tpm {
                key: need("key", &raw.key)?,
                signature: need("signature", &raw.signature)?,
                pcrs: digests(raw.pcrs.unwrap_or_default())?,
            },
            "simulated" => Beside::Simulated,
            _ => return bad("format is one of snp, intel, csv, tpm"),
        };
        let nonce = raw.nonce.map(|it| exactly("nonce", &it)).transpose()?;
        Ok(Self { report: base64("report", &raw.report)?, nonce, beside })
    }

    /// As [`read`](Self::read) reads it.
    ///
    /// # Errors
    /// The collateral is no JSON.
    pub fn write(&self) -> Result<Vec<u8>, BadText> {
        let some = |bytes: &[u8]| Some(STANDARD.encode(bytes));
        let mut raw = Raw {
            format: self.evidence(None).kind.name().to_owned(),
            report: STANDARD.encode(&self.report),
            nonce: self.nonce.map(|it| digits(&it)),
            ..Raw::default()
        };
        match &self.beside {
            Beside::Snp { vcek, ask, ark } => {
                (raw.vcek, raw.ask, raw.ark) = (some(vcek), some(ask), some(ark));
            }
            Beside::Intel { collateral } => {
                if let Some(set) = collateral {
                    raw.collateral = Some(serde_json::from_slice(set).or_else(bad)?);
                }
            }
            Beside::Csv { hrk, hsk, cek } => {
                (raw.hrk, raw.hsk, raw.cek) = (some(hrk), some(hsk), some(cek));
            }
            Beside::Tpm { key, signature, pcrs } => {
                (raw.key, raw.signature) = (some(key), some(signature));
                raw.pcrs = Some(pcrs.iter().map(|it| digits(it)).collect());
            }
            Beside::Simulated => {}
        }
        serde_json::to_vec(&raw).or_else(bad)
    }

    /// With a set of Intel's beside a quote; nothing else takes one.
    #[must_use]
    pub fn with_collateral(mut self, set: Vec<u8>) -> Self {
        if let Beside::Intel { collateral } = &mut self.beside {
            *collateral = Some(set);
        }
        self
    }

    /// For the appraisal. `kept` is collateral of our own, which counts before the prover's.
    pub fn evidence<'a>(&'a self, kept: Option<&'a [u8]>) -> Evidence<'a> {
        let kind = match &self.beside {
            Beside::Snp { vcek, ask, ark } => Kind::Snp { vcek, ask, ark },
            Beside::Intel { collateral } => {
                Kind::Intel { collateral: kept.or(collateral.as_deref()).unwrap_or_default() }
            }
            Beside::Csv { hrk, hsk, cek } => Kind::Csv { hrk, hsk, cek },
            Beside::Tpm { key, signature, pcrs } => Kind::Tpm { key, signature, pcrs },
            Beside::Simulated => Kind::Simulated,
        };
        Evidence { bytes: &self.report, kind }
    }
}

fn digests(all: Vec<String>) -> Result<Vec<[u8; 32]>, BadText> {
    if all.len() > limits::PCRS {
        return bad("more PCRs than a TPM has");
    }
    all.iter().map(|it| exactly("pcrs", it)).collect()
}

fn base64(name: &str, text: &str) -> Result<Vec<u8>, BadText> {
    STANDARD.decode(text).or_else(|why| bad(format!("{name}: {why}")))
}

fn exactly<const N: usize>(name: &str, text: &str) -> Result<[u8; N], BadText> {
    let bytes = hex(name, text)?;
    bytes.try_into().or_else(|_| bad(format!("{name} is not {N} bytes in hexadecimal")))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// Bytes in hexadecimal; `name` is for the writer of a wrong one.
///
/// # Errors
/// What is wrong.
pub fn hex(name: &str, text: &str) -> Result<Vec<u8>, BadText> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    let bytes: Option<Vec<u8>> = if rest.is_empty() { bytes } else { None };
    bytes.map_or_else(|| bad(format!("{name} is not hexadecimal")), Ok)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    measurements: Vec<String>,
    chips: RawChips,
    #[serde(default)]
    independent_chips: Vec<String>,
    least: RawLeast,
    #[serde(default)]
    csv_bits: u32,
    #[serde(default)]
    tpm_pcrs: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawChips {
    Word(String),
    These(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLeast {
    snp: Option<RawSnp>,
    intel: Option<RawIntel>,
    csv: Option<RawCsv>,
    tpm: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSnp {
    boot_loader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIntel {
    accept: Vec<String>,
    since: Option<String>,
    #[serde(default)]
    refuse: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCsv {
    major: u8,
    minor: u8,
}

/// Reads a policy, as [`EXAMPLE`]. What evidence must carry is not in it: that is the challenge's.
///
/// # Errors
/// What is wrong, for the writer.
pub fn policy(json: &[u8]) -> Result<Policy, BadText> {
    if json.len() > limits::TEXT {
        return bad("longer than any policy");
    }
    let raw: RawPolicy = serde_json::from_slice(json).or_else(bad)?;
    let chips = match raw.chips {
        RawChips::Word(word) if word == "any" => Chips::Any,
        RawChips::Word(_) => return bad("chips is \"any\" or a list"),
        RawChips::These(all) => Chips::Only(set("chips", &all)?),
    };
    let mut tpm_pcrs = [0_u8; 3];
    for pcr in raw.tpm_pcrs {
        let byte = tpm_pcrs.get_mut(usize::from(pcr / 8));
        *byte.ok_or_else(|| BadText("tpm_pcrs are from 0 to 23".to_owned()))? |= 1 << (pcr % 8);
    }
    Ok(Policy {
        measurements: set("measurements", &raw.measurements)?,
        chips,
        independent_chips: set("independent_chips", &raw.independent_chips)?,
        least_tcb: least(raw.least)?,
        csv_bits: raw.csv_bits,
        tpm_pcrs,
        ..Policy::default()
    })
}

fn least(raw: RawLeast) -> Result<LeastTcb, BadText> {
    let mut out = LeastTcb {
        snp: raw.snp.map(|it| SnpTcb {
            boot_loader: it.boot_loader,
            tee: it.tee,
            snp: it.snp,
            microcode: it.microcode,
        }),
        csv: raw.csv.map(|it| (it.major, it.minor)),
        tpm: raw.tpm,
        ..LeastTcb::default()
    };
    if let Some(intel) = raw.intel {
        for name in &intel.accept {
            let found = IntelStatus::ALL.into_iter().find(|it| it.name() == name);
            out.intel
                .insert(found.map_or_else(|| bad(format!("{name} is no verdict of Intel's")), Ok)?);
        }
        if let Some(since) = &intel.since {
            let instant = time::of_text(since);
            out.intel_since =
                instant.map_or_else(|| bad("since is a time such as 2025-01-01T00:00:00Z"), Ok)?;
        }
        out.refused_advisories = intel.refuse.into_iter().collect();
    }
    Ok(out)
}

fn set(name: &str, all: &[String]) -> Result<BTreeSet<Vec<u8>>, BadText> {
    if all.len() > limits::VALUES {
        return bad(format!("{name}: too many values"));
    }
    all.iter().map(|it| hex(name, it)).collect()
}

#[cfg(test)]
mod tests {
    use super::{EXAMPLE, Text, policy};
    use crate::appraisal::IntelStatus;
    use crate::evidence::Kind;
    use crate::policy::Chips;

    #[test]
    fn the_example_is_a_policy_that_accepts_nothing() {
        let it = policy(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(it.chips, Chips::default());
        assert!(it.measurements.is_empty() && it.independent_chips.is_empty());
        assert_eq!(it.least_tcb.intel, [IntelStatus::UpToDate].into());
        assert!(it.report_data.is_empty() && it.simulated.is_none());
    }

    #[test]
    fn what_nobody_reads_is_refused() {
        let good = r#"{"measurements":["00ff"],"chips":"any","least":{},"tpm_pcrs":[0,9]}"#;
        let it = policy(good.as_bytes()).unwrap();
        assert_eq!((it.chips, it.tpm_pcrs), (Chips::Any, [1, 2, 0]));
        assert!(it.measurements.contains(&vec![0, 0xFF]));
        for (from, to) in [
            ("{}", "{\"sgx\":1}"),
            ("\"any\"", "\"all\""),
            ("00ff", "00f"),
            ("00ff", "00fg"),
            ("9", "24"),
            ("{}", "{\"intel\":{\"accept\":[\"Revoke\"]}}"),
            ("{}", "{\"intel\":{\"accept\":[],\"since\":\"2025\"}}"),
            ("\"least\":{},", ""),
            ("\"chips\"", "\"chip\""),
            ("\"chips\"", "\"debug\":true,\"chips\""),
            ("\"chips\"", "\"simulated\":\"00\",\"chips\""),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(policy(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let digits = "07".repeat(32);
        for text in [
            r#"{"format":"csv","report":"AAE=","hrk":"AA==","hsk":"AQ==","cek":"Ag=="}"#.to_owned(),
            r#"{"format":"intel","report":"AAE=","collateral":{"a": 1 }}"#.to_owned(),
            r#"{"format":"intel","report":"AAE="}"#.to_owned(),
            format!(
                r#"{{"format":"tpm","report":"AAE=","nonce":"{digits}","key":"AA==","signature":"AQ==","pcrs":["{digits}"]}}"#
            ),
        ] {
            let it = Text::read(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(it.write().unwrap()).unwrap(), text);
        }
        let it = Text::read(br#"{"format":"intel","report":"AAE="}"#).unwrap();
        let with = it.with_collateral(b"{\"a\": 1 }".to_vec());
        assert!(String::from_utf8(with.write().unwrap()).unwrap().ends_with("{\"a\": 1 }}"));
        assert!(with.with_collateral(b"{".to_vec()).write().is_err());
    }

    #[test]
    fn evidence_is_read_with_what_lies_beside_it() {
        let good = r#"{"format":"intel","report":"AAE=","collateral":{"a": 1 }}"#;
        let it = Text::read(good.as_bytes()).unwrap();
        assert_eq!(it.report, [0, 1]);
        for (kept, expected) in [(None, &b"{\"a\": 1 }"[..]), (Some(&b"own"[..]), b"own")] {
            let evidence = it.evidence(kept);
            assert!(matches!(evidence.kind, Kind::Intel { collateral } if collateral == expected));
        }
        for bad in [
            "",
            "{}",
            r#"{"format":"sgx","report":"AA=="}"#,
            r#"{"format":"intel","report":"AA"}"#,
            r#"{"format":"intel","report":"AA==","level":"E4"}"#,
            r#"{"format":"intel","report":"AA==","nonce":"00"}"#,
            r#"{"format":"snp","report":"AA==","vcek":"AA==","ask":"AA=="}"#,
            r#"{"format":"tpm","report":"AA==","key":"AA==","signature":"AA==","pcrs":["00"]}"#,
        ] {
            assert!(Text::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
