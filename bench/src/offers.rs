//! Offers of machine data as the benches of the federated catalogue make them: by number, the same at every run.
//!
//! Never random: what a search must find is known beforehand.

use serde_json::{Value, json};

const ZH: [&str; 12] = [
    "主轴承温度",
    "齿轮箱振动",
    "注塑机压力",
    "数控机床主轴",
    "电池极片厚度",
    "空压机能耗",
    "焊接机器人轨迹",
    "风机功率曲线",
    "锅炉排放",
    "冲压件缺陷",
    "水泵流量",
    "光伏逆变器",
];
const EN: [&str; 12] = [
    "bearing temperature",
    "gearbox vibration",
    "injection pressure",
    "spindle of a machine tool",
    "electrode thickness",
    "compressor energy",
    "welding robot path",
    "turbine power curve",
    "boiler emission",
    "stamping defects",
    "pump flow",
    "solar inverter",
];
const PLACES: [&str; 8] = ["苏州", "宁波", "沈阳", "成都", "佛山", "合肥", "天津", "武汉"];
const FORMATS: [&str; 4] = ["tidm:query", "tidm:sealed-table", "HttpData-PULL", "AmazonS3-PUSH"];
const GRADES: [&str; 2] = ["general", "important"];
const CURRENCIES: [&str; 3] = ["CNY", "EUR", "USD"];

/// One dataset, valid by DSP's schema: a policy of its own, and every fourth one for nothing.
pub(crate) fn dataset(provider: u64, number: u64) -> Value {
    // Neighbours differ in every respect.
    let mixed = (provider * 1_000_003 + number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pick = |all: usize, shift: u32| usize::try_from(mixed >> shift).unwrap_or(0) % all;
    let (kind, place) = (pick(ZH.len(), 7), pick(PLACES.len(), 17));
    let count = json!({ "leftOperand": "count", "operator": "lteq", "rightOperand": (1 + number).to_string() });
    let pay = match pick(4, 23) {
        0 => json!([]),
        price => json!([{ "action": "compensate", "constraint": [
            { "leftOperand": "payAmount", "operator": "eq", "rightOperand": (price * 50 + pick(100, 29)).to_string() },
            { "leftOperand": "tidm:currency", "operator": "eq", "rightOperand": CURRENCIES[pick(3, 37)] } ] }]),
    };
    let mut offer = json!({
        "@id": format!("urn:offer:{provider}:{number}"), "@type": "Offer",
        "permission": [{ "action": "use", "constraint": [count] }],
    });
    if pay.as_array().is_some_and(|it| !it.is_empty()) {
        offer["obligation"] = pay;
    }
    json!({
        "@id": format!("urn:product:{provider}:{number}"), "@type": "Dataset",
        "dct:title": [
            { "@value": format!("{}{} {number}号线", PLACES[place], ZH[kind]), "@language": "zh" },
            { "@value": format!("{} line {number}", EN[kind]), "@language": "en" },
        ],
        "dct:description": format!("{} {} sampled every {} ms, 批次{}", ZH[(kind + 1) % 12], EN[kind], 10 + pick(990, 11), pick(1000, 41)),
        "dcat:keyword": [ZH[kind], PLACES[place], format!("WTG{}", pick(500, 31))],
        "tidm:grade": GRADES[pick(2, 5)],
        "hasPolicy": [offer],
        "distribution": [{ "@type": "Distribution", "format": FORMATS[pick(4, 3)], "accessService": "urn:service:dsp" }],
    })
}

/// Searches as people type them, in both languages, with what narrows them.
pub(crate) fn searches() -> Vec<Vec<(&'static str, String)>> {
    let mut all = Vec::new();
    for at in 0..ZH.len() {
        let text = match at % 3 {
            0 => ZH[at].to_owned(),
            1 => EN[at].to_owned(),
            _ => format!("{} {}", PLACES[at % PLACES.len()], EN[at]),
        };
        for facet in [
            vec![],
            vec![("format", FORMATS[at % 4].to_owned()), ("free", "true".to_owned())],
            vec![("grade", GRADES[at % 2].to_owned()), ("max_price", "120 CNY".to_owned())],
        ] {
            let mut one = vec![("search", text.clone())];
            one.extend(facet);
            all.push(one);
        }
    }
    all
}
