//! Scratch.
use lockkeeper_chaos::{bed::{Bed, Make}, cluster::Shape, world::{Shared, Tool, World}};
use lockkeeper_coordinator::raft::Tuning;
fn main() {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let seed: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1);
    let shape = Shape { witness: true, lost_after: 3, max_failures: 0, tool: Tool::Transactional };
    let cluster = shape.cluster();
    let world = Shared::new(World::new(seed, &cluster.members, &cluster.witnesses, shape.tool));
    let mut bed = Bed::new(Make { seed, cluster, tuning: Tuning::default(), world, latency_max: 5 });
    bed.start().unwrap();
    bed.people.settle();
    let begun = std::time::Instant::now();
    while bed.now.ms() < 60_000 && bed.people.outcome().is_none() {
        bed.step().unwrap();
    }
    println!("{:?} virtual {} ms real {:?} outcome {:?} lost {:?}", bed.tally, bed.now.ms(), begun.elapsed(), bed.people.outcome(), bed.people.lost());
    for deed in bed.people.deeds() { println!("{deed:?}"); }
    for o in bed.watch.since(0) { if matches!(o.seen, lockkeeper_chaos::watch::Seen::State{..}) {continue} println!("{:>7} {} {:?}", o.at, o.who, o.seen); }
    for line in bed.world.lock().books.lines() { if matches!(line.fact, lockkeeper_chaos::world::Fact::Answer{..}) {continue} println!("{line}"); }
}
