//! A primary with a standby: the door is read back on both, and a fail-over in the middle of a grant is a finding.

use super::bed::*;
use lockkeeper_adapters::database::{DatabaseAdapter, postgres::Postgres};
use lockkeeper_agent::host::{Postcheck, Precheck};

struct Pair {
    bed: Bed,
    standby: Server,
}

impl Pair {
    fn new() -> Self {
        let bed = Bed::new();
        let standby = Server::standby_of(&bed.server);
        Self { bed, standby }
    }

    /// Waits until the standby holds everything the primary committed: replication is asynchronous, and what a dying
    /// primary did not send is lost, which is another story than the one told here.
    fn replayed(&self) {
        let end = self.bed.server.sql("postgres", "select pg_current_wal_flush_lsn()");
        let behind = format!("select pg_last_wal_replay_lsn() >= '{end}'::pg_lsn");
        wait_for("the standby has replayed", || self.standby.sql("postgres", &behind) == "t");
    }

    fn adapter(&self, member: &str) -> Postgres {
        let mut spec = self.bed.spec.clone();
        spec.instances.push(format!("127.0.0.1:{}", self.standby.port));
        self.bed.adapter_for(member, spec)
    }
}

async fn open_grant(pair: &Pair) -> Rollout {
    let mut rollout = Rollout::new("c-1").granted("n2", token(20));
    rollout.step(&pair.adapter("n1"), "n1", Do::Shut, token(14)).await;
    rollout.step(&pair.adapter("n2"), "n2", Do::Mint, token(20)).await;
    rollout.step(&pair.adapter("n1"), "n1", Do::Admit, token(20)).await;
    rollout
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_is_read_back_on_the_standby() {
    let pair = Pair::new();
    let executor = pair.adapter("n1");
    pair.standby.sql("postgres", "select pg_wal_replay_pause()");
    let rollout = Rollout::new("c-1");
    let work = rollout.work("n1", Do::Shut, token(14));
    executor.perform(&work).await.unwrap();
    let Postcheck::NotYet(why) = executor.postcheck(&work).await else { panic!("the standby was not asked") };
    assert!(why.contains("not yet replayed") && why.contains(&pair.standby.port.to_string()), "{why}");
    pair.standby.sql("postgres", "select pg_wal_replay_resume()");
    wait_for("the standby has replayed", || {
        pair.standby.sql("postgres", "select rolcanlogin from pg_roles where rolname = 'app'") == "f"
    });
    assert!(matches!(executor.postcheck(&work).await, Postcheck::Proven(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_over_in_the_middle_of_a_grant_shuts_the_holder_out_and_halts() {
    let pair = Pair::new();
    let executor = pair.adapter("n1");
    let mut rollout = open_grant(&pair).await;
    let made = "select count(*) from pg_roles where rolname = 'lk_main_1_20' and rolcanlogin";
    pair.replayed();
    assert_eq!(pair.standby.sql("postgres", made), "1", "the standby knows the holder");
    pair.bed.server.stop();
    pair.standby.promote();
    // What opens or proves waits for the dead instance; what shuts does not.
    assert_eq!(refused(&executor, &rollout.work("n1", Do::Open, token(30))).await, "LK5215");
    let close = rollout.work("n1", Do::Close, token(20));
    executor.perform(&close).await.unwrap();
    assert_eq!(pair.standby.sql("postgres", made), "0");
    assert!(matches!(executor.postcheck(&close).await, Postcheck::NotYet(_)));
    // The dead one is taken out of the cluster file: the new primary was declared before, so it is no twin; but the
    // grant was opened on another timeline.
    let mut spec = pair.bed.spec.clone();
    spec.instances = vec![format!("127.0.0.1:{}", pair.standby.port)];
    let alone = pair.bed.adapter_for("n1", spec);
    let Postcheck::Refuted(failure) = alone.postcheck(&close).await else {
        panic!("a fail-over is a finding")
    };
    assert_eq!(failure.code, "LK5229");
    rollout.step(&alone, "n1", Do::Open, token(30)).await;
    // The old primary comes back as it was: it does not know of the later timeline, and is a twin by its own ledger
    // only as far as it can tell; together both are two primaries.
    let reopened = pair.standby.sql("postgres", "select rolcanlogin from pg_roles where rolname = 'app'");
    assert_eq!(reopened, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_copy_that_was_never_declared_is_a_twin() {
    let pair = Pair::new();
    let mut rollout = Rollout::new("c-1");
    rollout.step(&pair.bed.adapter("n1"), "n1", Do::Shut, token(14)).await;
    pair.replayed();
    pair.standby.promote();
    let mut spec = pair.bed.spec.clone();
    spec.instances = vec![format!("127.0.0.1:{}", pair.standby.port)];
    let copy = pair.bed.adapter_for("n1", spec);
    let Precheck::Blocked(blocked) = copy.precheck(&rollout.work("n1", Do::Open, token(15))).await else {
        panic!("a promoted copy was taken for the database")
    };
    assert_eq!(blocked.code, "LK5204", "{}", blocked.text);
    // Both declared: two that take writes.
    assert_eq!(refused(&pair.adapter("n1"), &rollout.work("n1", Do::Open, token(15))).await, "LK5216");
}
