//! 5: every fact that became durable is in the log exactly once, in its order, whatever crashed when; and the log
//! can be recomputed from its entries.

use tidm_ledger::audit::audit;
use tidm_ledger::tile::TileReader;
use tidm_ledger::tree::EMPTY_ROOT;

use super::Moment;
use crate::world::World;

pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    let Moment::End = moment else { return Ok(()) };
    for at in 0..world.nodes.len() {
        let node = &world.nodes[at];
        let (size, root) = node.store.head.map_or((0, EMPTY_ROOT), |it| (it.size, it.root));
        audit(&node.log.tiles, size, root).map_err(|why| format!("n{at}: {why}"))?;
        let empty = Vec::new();
        let facts = world.reference.facts.get(&at).unwrap_or(&empty);
        let reader = TileReader::new(size, &node.log.tiles);
        for index in 0..size {
            let entry = reader.entry(index).map_err(|why| format!("n{at}: {why}"))?;
            let fact = usize::try_from(index).ok().and_then(|it| facts.get(it));
            match (entry, fact) {
                (Some(entry), Some(fact)) if entry == **fact => {}
                (_, Some(_)) => {
                    return Err(format!(
                        "n{at}: entry {index} of the log is not the fact that was acknowledged as number {index}"
                    ));
                }
                (_, None) => {
                    return Err(format!(
                        "n{at}: the log holds {size} entries, but {} facts happened",
                        facts.len()
                    ));
                }
            }
        }
        if size != u64::try_from(facts.len()).unwrap_or(u64::MAX) {
            return Err(format!(
                "n{at}: {} facts were acknowledged, {size} are in the log",
                facts.len()
            ));
        }
    }
    Ok(())
}
