//! The schedule: request `n` is due at the start plus `n` periods, whatever became of those before it.

use super::Args;
use super::record::{Kind, Line, Record};
use super::user::{Ask, User};
use crate::demo::clock::{mono_us, unix_ms};
use crate::demo::lines::LineLog;
use crate::demo::outbound::CallError;
use crate::demo::stop::{self, Stdin};
use bytes::Bytes;
use hyper::{Method, Response};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// For one request, from its attempt to its whole answer. It also bounds how many are open at a time: rate
/// times this.
const DEADLINE: Duration = Duration::from_secs(3);

/// Of twenty requests in a row, which are whose: 8 keep-alive, 7 sticky, 5 fresh, well mixed.
const TURNS: [Kind; 20] = {
    use Kind::{Fresh as F, KeepAlive as K, Sticky as S};
    [K, S, F, K, S, K, S, F, K, S, K, F, K, S, F, K, S, K, S, F]
};

/// Every fifth request writes. Five and twenty share a factor, so the offset moves with each round of turns.
const WRITE_EVERY: u64 = 5;

/// Sticky users; enough that every member has some.
const STICKY_USERS: usize = 9;

/// Sends until told to stop, then waits for the requests under way and writes the last line.
pub async fn run(args: Args, log: LineLog) -> anyhow::Result<()> {
    let stop = stop::listen(if args.until_stdin_closes { Stdin::Ends } else { Stdin::Ignored })?;
    let users = Arc::new(Users::new(&args));
    let period = Duration::from_secs(1) / args.rate;
    let (begun, begun_at) = (Instant::now(), unix_ms());
    log.write(&Line::Start { at: begun_at, rate: args.rate });
    let mut open = JoinSet::new();
    let mut scheduled = 0_u64;
    loop {
        // A multiplication by u32 would overflow after a year of requests.
        let due = Duration::from_nanos((period.as_nanos() as u64).saturating_mul(scheduled));
        tokio::select! {
            () = sleep_until(begun + due) => {}
            () = stop::told(&stop) => break,
        }
        let scheduled_at = begun_at + u64::try_from(due.as_millis()).unwrap_or(u64::MAX);
        let (users, log, n) = (Arc::clone(&users), log.clone(), scheduled);
        open.spawn(async move { log.write(&Line::Request(Box::new(users.send(n, scheduled_at).await))) });
        scheduled += 1;
        while open.try_join_next().is_some() {}
    }
    while open.join_next().await.is_some() {}
    log.write(&Line::End { at: unix_ms(), scheduled });
    Ok(())
}

/// All users and what they read and write.
struct Users {
    keep_alive: User,
    sticky: Vec<User>,
    fresh: User,
    notes: u64,
    /// Tells this run's titles from every other's.
    run: String,
}

#[derive(Deserialize)]
struct Acknowledged {
    id: i64,
}

impl Users {
    fn new(args: &Args) -> Self {
        Self {
            keep_alive: User::new(Kind::KeepAlive, args.target),
            sticky: (0..STICKY_USERS).map(|_| User::new(Kind::Sticky, args.target)).collect(),
            fresh: User::new(Kind::Fresh, args.target),
            notes: u64::from(args.notes),
            run: uuid::Uuid::now_v7().simple().to_string(),
        }
    }

    async fn send(&self, n: u64, scheduled_at: u64) -> Record {
        let user = self.user(n);
        let title = writes(n).then(|| format!("load {} {n}", self.run));
        let ask = self.ask(n, title.as_deref());
        let mut record = Record {
            n,
            scheduled_at,
            sent_at: unix_ms(),
            done_at: 0,
            sent_us: mono_us(),
            done_us: 0,
            kind: user.kind(),
            method: ask.method.as_str().to_owned(),
            path: ask.path.clone(),
            status: None,
            error: None,
            member: None,
            version: None,
            balancer: None,
            id: None,
            title,
        };
        match timeout(DEADLINE, user.ask(ask)).await {
            Ok(Ok(answer)) => note(&mut record, &answer),
            Ok(Err(CallError::Connect(error))) => record.error = Some(format!("cannot connect: {error}")),
            Ok(Err(CallError::Broken(why))) => record.error = Some(why),
            Err(_) => record.error = Some("deadline".to_owned()),
        }
        (record.done_at, record.done_us) = (unix_ms(), mono_us());
        record
    }

    fn user(&self, n: u64) -> &User {
        let round = TURNS.len() as u64;
        let nth = |count: usize| (n / round * 7 + n % round) as usize % count;
        match TURNS[(n % round) as usize] {
            Kind::KeepAlive => &self.keep_alive,
            Kind::Sticky => &self.sticky[nth(self.sticky.len())],
            Kind::Fresh => &self.fresh,
        }
    }

    fn ask(&self, n: u64, title: Option<&str>) -> Ask {
        match title {
            Some(title) => {
                let draft =
                    serde_json::json!({"title": title, "author": "The Load", "body": "Written under way."});
                Ask { method: Method::POST, path: "/notes".to_owned(), body: Bytes::from(draft.to_string()) }
            }
            // 7919 is prime: the notes read are spread over all of them.
            None => Ask {
                method: Method::GET,
                path: format!("/notes/{}", n.wrapping_mul(7_919) % self.notes + 1),
                body: Bytes::new(),
            },
        }
    }
}

fn writes(n: u64) -> bool {
    (n + n / TURNS.len() as u64) % WRITE_EVERY == WRITE_EVERY - 1
}

fn note(record: &mut Record, answer: &Response<Bytes>) {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    record.status = Some(answer.status().as_u16());
    (record.member, record.version) = (header("x-member"), header("x-version"));
    record.balancer = header("x-balancer");
    if record.title.is_some() && answer.status().is_success() {
        record.id = serde_json::from_slice::<Acknowledged>(answer.body()).ok().map(|written| written.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_reads_and_writes_and_every_sticky_user_has_turns() {
        let args = Args {
            target: "127.0.0.1:1".parse().unwrap(),
            log: "unused".into(),
            rate: 120,
            notes: 10,
            until_stdin_closes: false,
        };
        let users = Users::new(&args);
        let seen: BTreeSet<_> = (0..2_000).map(|n| (users.user(n).kind(), writes(n))).collect();
        assert_eq!(seen.len(), 6);
        let share = (0..2_000).filter(|n| writes(*n)).count();
        assert_eq!(share, 400);
        let sticky: BTreeSet<_> = (0..2_000)
            .map(|n| users.user(n))
            .filter(|user| user.kind() == Kind::Sticky)
            .map(std::ptr::from_ref)
            .collect();
        assert_eq!(sticky.len(), STICKY_USERS);
    }
}
