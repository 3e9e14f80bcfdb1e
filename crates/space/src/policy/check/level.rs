//! Terms that are promises (E0), or kept by software in the consumer's hands (E1), by kind of use (decision D4).
//!
//! Never says a level of its own: it is the one that is shown beside the sentence.

use crate::lang::Lang;
use crate::policy::check::{Remark, Severity, names};
use crate::policy::compile::Side;
use crate::policy::model::Policy;
use crate::policy::reach::exercised;
use crate::policy::render;
use crate::policy::scene::Scene;
use crate::policy::usage::{Level, Use};

pub(super) fn remarks(policy: &Policy, kinds: &[Use], out: &mut Vec<Remark>) {
    let scenes: Vec<Scene> = kinds.iter().map(|it| Scene::of(policy, *it)).collect();
    for (rules, name, side) in [
        (&policy.permissions, "permission", Side::Grant),
        (&policy.prohibitions, "prohibition", Side::Ban),
    ] {
        for (i, rule) in rules.iter().enumerate() {
            let place = format!("{name}[{i}]");
            if side == Side::Ban && rule.constraints.is_empty() && exercised(&rule.action) {
                weak(&place, &scenes, |scene| Some(scene.level()), out);
            }
            for (j, it) in rule.constraints.iter().enumerate() {
                let level = |scene| render::level(it, side, scene);
                weak(&format!("{place}.constraint[{j}]"), &scenes, level, out);
            }
        }
    }
    for (i, rule) in policy.obligations.iter().enumerate() {
        let level = |scene| render::duty_level(rule, scene);
        weak(&format!("obligation[{i}]"), &scenes, level, out);
    }
}

fn weak(
    place: &str,
    scenes: &[Scene],
    level: impl Fn(Scene) -> Option<Level>,
    out: &mut Vec<Remark>,
) {
    for (it, severity, code) in
        [(Level::E0, Severity::Warning, "level.e0"), (Level::E1, Severity::Note, "level.e1")]
    {
        let weak = scenes.iter().filter(|scene| level(**scene) == Some(it));
        let weak: Vec<Use> = weak.map(|it| it.kind).collect();
        if !weak.is_empty() {
            let names = names(&weak);
            out.push(Remark::new(
                severity,
                place,
                code,
                format!("以 {names} 方式使用时为 {it}：{}", it.words(Lang::Zh)),
                format!("enforced at {it} for {names}: {}", it.words(Lang::En)),
            ));
        }
    }
}
