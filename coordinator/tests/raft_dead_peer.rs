//! A dead peer costs next to nothing. Alone in its binary, because it measures the whole process.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "raft/bed/mod.rs"]
mod raft_bed;

use lockkeeper_core::ids::NodeId;
use raft_bed::Bed;
use std::time::{Duration, Instant};

/// Processor time of this process so far, from `/proc`; clock ticks are 10 ms on every Linux we know.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_peer_costs_few_dials_and_little_processor_time() {
    let mut bed = Bed::group(3).await;
    let leader = bed.leader().await;
    let dead = NodeId(leader.0 % 3 + 1);
    let address = bed.address(dead).to_string();
    bed.kill(dead);
    // Something to send: the library's retry is what spun.
    let index = bed.write(b"for the dead one too").await;

    let (dials, used, begun) = (bed.valves.dials(leader, &address), cpu(), Instant::now());
    // A window of measurement, not a wait for something.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (dials, used, took) = (bed.valves.dials(leader, &address) - dials, cpu() - used, begun.elapsed());

    let per_second = dials as f64 / took.as_secs_f64();
    assert!(dials > 0, "the peer must still be tried");
    assert!(per_second < 8.0, "{per_second:.1} dials a second to a dead peer");
    // Two live nodes and the test in one unoptimised process; as first written the leader alone used half a core.
    let share = used.as_secs_f64() / took.as_secs_f64();
    assert!(share < 0.25, "used {:.0} % of a core", share * 100.0);

    // It is not forgotten either.
    bed.start(dead).await;
    bed.agree(index).await;
}
