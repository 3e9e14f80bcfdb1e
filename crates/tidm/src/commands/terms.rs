//! Terms on the command line: one flag a choice.
//!
//! Never checked here: the node says which choice is wrong.

use clap::Args;
use serde_json::{Map, Value, json};

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Terms")]
pub(crate) struct Terms {
    /// A template that says all terms (`tidm policy template` lists them), filled in with --set; beside it --as alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,
    /// A value of the template: uses=5; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "template", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A whole policy in ODRL 2.2 as JSON, for what no flag says; no other terms beside it.
    #[arg(long, value_name = "FILE", value_parser = whole, conflicts_with = "template")]
    pub(crate) policy: Option<Value>,
    /// DID of who may use it; may be repeated. Whoever signs when absent.
    #[arg(long, value_name = "DID")]
    pub(crate) to: Vec<String>,
    /// Most uses.
    #[arg(long, value_name = "N")]
    pub(crate) uses: Option<u64>,
    /// First instant of use (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Last instant of use (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// So long from the first use: P90D.
    #[arg(long, value_name = "PERIOD")]
    pub(crate) within: Option<String>,
    /// Not before so long after the agreement: P30D.
    #[arg(long, value_name = "PERIOD")]
    pub(crate) delay: Option<String>,
    /// What for; may be repeated.
    #[arg(long)]
    pub(crate) purpose: Vec<String>,
    /// Only these columns.
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    pub(crate) columns: Vec<String>,
    /// Only rows for which this holds: "site = 'A7' and temperature >= 20".
    #[arg(long, value_name = "CONDITION")]
    pub(crate) rows: Option<String>,
    /// Mark copies before they leave: columns with the step by which a value may change; the key of rows: temperature:0.1;sensor.
    #[arg(long, value_name = "HOW")]
    pub(crate) watermark: Option<String>,
    /// Split the key of what is sealed with this operator: it and the provider must both release it.
    #[arg(long, value_name = "DID")]
    pub(crate) split_with: Option<String>,
    /// Only aggregate results.
    #[arg(long)]
    pub(crate) aggregates_only: bool,
    /// Fewest rows behind each group of a result.
    #[arg(long, value_name = "N")]
    pub(crate) min_group: Option<u64>,
    /// Speed of all deliveries together, per second: 10MB, 512KiB, 2000000.
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    pub(crate) rate: Option<u64>,
    /// Connections that deliver at a time.
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<u64>,
    /// Match lists by these columns, with normal forms: part_no:text,maker:credit-code;first.
    #[arg(long, value_name = "KEY")]
    pub(crate) match_key: Option<String>,
    /// Most items that the consumer matches at a time.
    #[arg(long, value_name = "N")]
    pub(crate) match_items: Option<u64>,
    /// Most items that the consumer matches under the contract.
    #[arg(long, value_name = "N")]
    pub(crate) match_budget: Option<u64>,
    /// No result of fewer matches.
    #[arg(long, value_name = "N")]
    pub(crate) min_matches: Option<u64>,
    /// No result that matches more of the consumer's items.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) match_share: Option<u64>,
    /// Who gets the matches: consumer or both.
    #[arg(long, value_name = "WHO")]
    pub(crate) match_result: Option<String>,
    /// What of a match is revealed: rows, size, sum, atLeast, labels, common (with several
    /// providers at a time). Rows alone when absent.
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    pub(crate) match_reveal: Vec<String>,
    /// Only counts and sums with noise, which may cost so much together (ε): 1.5.
    #[arg(long, value_name = "EPSILON", requires = "privacy_unit")]
    pub(crate) privacy_budget: Option<String>,
    /// Whose rows noise protects: column, most rows, columns that may be summed with step and range:
    /// "worker;3;hours:0.1:0:60".
    #[arg(long, value_name = "UNIT", requires = "privacy_budget")]
    pub(crate) privacy_unit: Option<String>,
    /// Most uses in any such period: 5/P1D.
    #[arg(long, value_name = "N/PERIOD")]
    pub(crate) frequency: Option<String>,
    /// At most one use in each such period: PT1H.
    #[arg(long, value_name = "PERIOD")]
    pub(crate) interval: Option<String>,
    /// Hours of the week: "Mon-Fri 08:00/18:00+08:00".
    #[arg(long, value_name = "HOURS")]
    pub(crate) window: Option<String>,
    /// Time of use altogether: PT10H.
    #[arg(long, value_name = "PERIOD")]
    pub(crate) metered: Option<String>,
    /// Most bytes of all uses together.
    #[arg(long, value_name = "N")]
    pub(crate) total_bytes: Option<u64>,
    /// Most rows of all uses together.
    #[arg(long, value_name = "N")]
    pub(crate) total_rows: Option<u64>,
    /// Most uses by the consumer's legal entity, under all its contracts.
    #[arg(long, value_name = "N")]
    pub(crate) entity_uses: Option<u64>,
    /// The same in any such period: 5/P1D.
    #[arg(long, value_name = "N/PERIOD")]
    pub(crate) entity_frequency: Option<String>,
    /// Time of use of the consumer's legal entity altogether: PT10H.
    #[arg(long, value_name = "PERIOD")]
    pub(crate) entity_metered: Option<String>,
    /// Most bytes of all its uses together.
    #[arg(long, value_name = "N")]
    pub(crate) entity_bytes: Option<u64>,
    /// Most rows of all its uses together.
    #[arg(long, value_name = "N")]
    pub(crate) entity_rows: Option<u64>,
    /// Most items that it puts into matchings altogether.
    #[arg(long, value_name = "N")]
    pub(crate) entity_items: Option<u64>,
    /// Role of who may use it, as its membership says; may be repeated.
    #[arg(long = "only-role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
    /// Region of who may use it, as its membership says: a code of ISO 3166 such as CN or CN-32; may be repeated.
    #[arg(long = "only-region", value_name = "CODE")]
    pub(crate) regions: Vec<String>,
    /// Address or network that the gate may be asked from: 10.1.0.0/16; may be repeated.
    #[arg(long = "only-address", value_name = "NETWORK")]
    pub(crate) addresses: Vec<String>,
    /// No use before a person of ours consents to the contract: tidm contract consent ID.
    #[arg(long)]
    pub(crate) consent: bool,
    /// Say in the terms that each use is on record at both parties.
    #[arg(long)]
    pub(crate) tracked: bool,
    /// Say in the terms that we are told of each use before it.
    #[arg(long)]
    pub(crate) told: bool,
    /// Forbid handing on.
    #[arg(long, conflicts_with = "export_ok")]
    pub(crate) no_export: bool,
    /// Permit handing on.
    #[arg(long = "export")]
    pub(crate) export_ok: bool,
    /// Forbid products made of the data and offered to others.
    #[arg(long, conflicts_with = "derive_ok")]
    pub(crate) no_derive: bool,
    /// Permit products made of the data and offered to others.
    #[arg(long = "derive")]
    pub(crate) derive_ok: bool,
    /// Such products are offered on no looser terms than these.
    #[arg(long)]
    pub(crate) next_policy: bool,
    /// All copies are deleted when the contract ends.
    #[arg(long)]
    pub(crate) delete_after_use: bool,
    /// All copies are deleted by then, and the contract ends (RFC 3339).
    #[arg(long, value_name = "TIME", conflicts_with = "delete_after_use")]
    pub(crate) delete_by: Option<String>,
    /// Least enforcement level, E0 to E4.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<String>,
    /// For example "100 CNY".
    #[arg(long)]
    pub(crate) price: Option<String>,
    /// Ways of use: query, sealed-table, sealed-file, plain, psi.
    #[arg(long = "as", value_delimiter = ',', value_name = "KINDS")]
    pub(crate) kinds: Vec<String>,
}

impl Terms {
    /// Whether anything was said.
    pub(crate) fn said(&self) -> bool {
        !self.json().as_object().is_none_or(Map::is_empty)
    }

    pub(crate) fn json(&self) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, value: Value, said: bool| {
            if said {
                all.insert(name.to_owned(), value);
            }
        };
        let values: Map<String, Value> =
            self.set.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        put("template", json!(self.template), self.template.is_some());
        put("values", json!(values), !values.is_empty());
        put("policy", json!(self.policy), self.policy.is_some());
        put("to", json!(self.to), !self.to.is_empty());
        put("uses", json!(self.uses), self.uses.is_some());
        put("from", json!(self.from), self.from.is_some());
        put("until", json!(self.until), self.until.is_some());
        put("within", json!(self.within), self.within.is_some());
        put("delay", json!(self.delay), self.delay.is_some());
        put("deleteBy", json!(self.delete_by), self.delete_by.is_some());
        put("level", json!(self.level), self.level.is_some());
        put("purposes", json!(self.purpose), !self.purpose.is_empty());
        put("columns", json!(self.columns), !self.columns.is_empty());
        put("rows", json!(self.rows), self.rows.is_some());
        put("watermark", json!(self.watermark), self.watermark.is_some());
        put("splitWith", json!(self.split_with), self.split_with.is_some());
        put("aggregatesOnly", json!(true), self.aggregates_only);
        put("minGroup", json!(self.min_group), self.min_group.is_some());
        put("deliveryRate", json!(self.rate), self.rate.is_some());
        put("deliveryConnections", json!(self.parallel), self.parallel.is_some());
        put("matchKey", json!(self.match_key), self.match_key.is_some());
        put("matchItems", json!(self.match_items), self.match_items.is_some());
        put("matchBudget", json!(self.match_budget), self.match_budget.is_some());
        put("minMatches", json!(self.min_matches), self.min_matches.is_some());
        put("matchShare", json!(self.match_share), self.match_share.is_some());
        put("matchResult", json!(self.match_result), self.match_result.is_some());
        put("matchReveal", json!(self.match_reveal), !self.match_reveal.is_empty());
        put("privacyBudget", json!(self.privacy_budget), self.privacy_budget.is_some());
        put("privacyUnit", json!(self.privacy_unit), self.privacy_unit.is_some());
        put("roles", json!(self.roles), !self.roles.is_empty());
        put("regions", json!(self.regions), !self.regions.is_empty());
        put("addresses", json!(self.addresses), !self.addresses.is_empty());
        put("consent", json!(true), self.consent);
        put("tracked", json!(true), self.tracked);
        put("told", json!(true), self.told);
        put("frequency", json!(self.frequency), self.frequency.is_some());
        put("interval", json!(self.interval), self.interval.is_some());
        put("window", json!(self.window), self.window.is_some());
        put("metered", json!(self.metered), self.metered.is_some());
        put("totalBytes", json!(self.total_bytes), self.total_bytes.is_some());
        put("totalRows", json!(self.total_rows), self.total_rows.is_some());
        put("entityUses", json!(self.entity_uses), self.entity_uses.is_some());
        let said = self.entity_frequency.is_some();
        put("entityFrequency", json!(self.entity_frequency), said);
        put("entityMetered", json!(self.entity_metered), self.entity_metered.is_some());
        put("entityBytes", json!(self.entity_bytes), self.entity_bytes.is_some());
        put("entityRows", json!(self.entity_rows), self.entity_rows.is_some());
        put("entityItems", json!(self.entity_items), self.entity_items.is_some());
        put("export", json!(self.export_ok), self.export_ok || self.no_export);
        put("derive", json!(self.derive_ok), self.derive_ok || self.no_derive);
        put("nextPolicy", json!(true), self.next_policy);
        put("deleteAfterUse", json!(true), self.delete_after_use);
        put("price", json!(self.price), self.price.is_some());
        put("kinds", json!(self.kinds), !self.kinds.is_empty());
        Value::Object(all)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE, such as uses=5")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// A policy out of a file: JSON, of which the node says whether it is one.
fn whole(path: &str) -> Result<Value, String> {
    let bytes = std::fs::read(path).map_err(|why| format!("{path}: {why}"))?;
    serde_json::from_slice(&bytes).map_err(|why| format!("{path} is no JSON: {why}"))
}

/// Bytes with a unit: decimal (kB, MB, GB) or binary (KiB, MiB, GiB), with or without `/s`.
fn rate(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
        ("", 1),
    ];
    let upper = text.trim().to_ascii_uppercase();
    let said = upper.strip_suffix("/S").unwrap_or(&upper);
    let found = UNITS.iter().find_map(|(unit, times)| Some((said.strip_suffix(unit)?, *times)));
    let (digits, times) = found.unwrap_or((said, 1));
    let number: Option<u64> = digits.trim().parse().ok();
    number
        .and_then(|it| it.checked_mul(times))
        .ok_or_else(|| format!("{text} is not a number of bytes such as 10MB, 512KiB or 2000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        for (text, bytes) in [
            ("10MB", Some(10_000_000)),
            ("10mb/s", Some(10_000_000)),
            ("512KiB", Some(524_288)),
            ("1 GiB", Some(1 << 30)),
            ("2000000", Some(2_000_000)),
            ("7B", Some(7)),
            ("7kB", Some(7_000)),
            ("1.5MB", None),
            ("MB", None),
            ("-1", None),
            ("99999999999999999GB", None),
            ("", None),
        ] {
            assert_eq!(rate(text).ok(), bytes, "{text:?}");
        }
    }
}
