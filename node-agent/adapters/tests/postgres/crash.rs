//! An agent may die at any await of an act: whatever was done, the repetition ends where an undisturbed act ends.

use super::bed::*;
use lockkeeper_adapters::database::DatabaseAdapter;
use lockkeeper_agent::host::{Precheck, Work};
use std::{pin::pin, task::Poll};

/// Acts, and dies after so many steps of the future. Answers whether it got to the end.
async fn dies_after(adapter: &dyn DatabaseAdapter, work: &Work, polls: u32) -> bool {
    let mut act = pin!(adapter.perform(work));
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        act.as_mut().poll(context).map(|ended| {
            ended.unwrap();
            true
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_was_cut_anywhere_is_finished_by_its_repetition() {
    let bed = Bed::new();
    let (executor, holder) = (bed.adapter("n1"), bed.adapter("n2"));
    let before = bed.logins();
    let mut cut = 0;
    let mut at = 100;
    for polls in [1, 4, 9, 14, 19, 24, 29, 34, 40, 50, 70] {
        let grant = token(at + 5);
        let mut rollout = Rollout::new("c-1").granted("n2", grant);
        rollout.step(&holder, "n2", Do::Mint, grant).await;
        for (what, index) in [(Do::Shut, at), (Do::Admit, at + 5), (Do::Close, at + 5), (Do::Open, at + 9)] {
            let work = rollout.work("n1", what, token(index));
            if what == Do::Shut {
                let lockkeeper_agent::host::Precheck::Ready { captured } = executor.precheck(&work).await
                else {
                    panic!("the door is not ready to be shut")
                };
                rollout.captured = Some(captured);
            }
            cut += u32::from(!dies_after(&executor, &work, polls).await);
            let kept = rollout.captured.clone();
            let done = rollout.step(&executor, "n1", what, token(index)).await;
            // What was journalled before the cut is what is owed.
            rollout.captured = kept;
            if what == Do::Open {
                assert_eq!(done.read_back, rollout.captured, "after {polls} polls");
            }
        }
        assert_eq!(bed.logins(), before, "after {polls} polls");
        assert_eq!(
            bed.server.sql("postgres", "select count(*) from pg_roles where rolname like 'lk\\_%'"),
            "0"
        );
        at += 20;
    }
    assert!(cut > 20, "only {cut} acts were cut, so the test says little");
    let twice =
        "select count(*) from (select idx, act from ledger_1.audit where act in ('grant-closed', 'open-door')
                 group by idx, act having count(*) > 1) repeated";
    assert_eq!(bed.server.sql("lockkeeper", twice), "0", "an act was recorded twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shut_that_arrives_after_an_open_that_had_nothing_to_do_is_refused() {
    let bed = Bed::new();
    let (executor, other) = (bed.adapter("n1"), bed.adapter("n2"));
    let before = bed.logins();
    let mut rollout = Rollout::new("c-1");
    // Its agent looked, and froze in front of the act.
    let late = rollout.work("n1", Do::Shut, token(14));
    let Precheck::Ready { captured } = executor.precheck(&late).await else { panic!("not ready") };
    rollout.captured = Some(captured);
    // Meanwhile the rollout is aborted; the door is found open.
    let opened = rollout.step(&other, "n2", Do::Open, token(30)).await;
    assert_eq!(opened.read_back, rollout.captured);
    assert_eq!(executor.perform(&late).await.unwrap_err().code, "LK5201");
    assert_eq!(bed.logins(), before);
    assert!(bed.can_enter("app"));
}
