//! The shipped HAProxy adapter drives the demo's balancer: members change places under load and no request fails.

use crate::bed::Bed;
use crate::whole::{Cluster, MEMBERS, figures};
use lockkeeper_adapters::balancer::{Admin, Haproxy, admit::admit, drain::drain};
use lockkeeper_core::time::Millis;

#[test]
fn a_rolling_restart_by_the_shipped_adapter_loses_no_request() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut cluster = Cluster::start();
    let adapter = Haproxy::new(&format!("unix:{}", cluster.socket.display()), "front").unwrap();
    for (place, name) in MEMBERS.iter().enumerate() {
        let drained = runtime.block_on(drain(&adapter, name, Millis::from_secs(10))).unwrap();
        assert_eq!((drained.forced, drained.set_again), (0, 0), "{name}");
        cluster.stop(place);
        cluster.serve_for(30);
        // Admitted while it starts: the adapter itself has to wait for the balancer's checks.
        cluster.start_member(place, "1.0");
        let reading = runtime.block_on(admit(&adapter, name, Admin::Ready)).unwrap();
        assert_eq!((reading.admin, reading.up), (Admin::Ready, true), "{name}: {reading}");
        cluster.serve_for(30);
    }
    let bed: Bed = cluster.end();
    let figures = figures(&bed);
    assert_eq!(figures["client"]["failed"], 0, "{figures:#}");
    assert_eq!(figures["requests"]["total"], figures["requests"]["ok"]);
    assert_eq!((&figures["outage_ms"], &figures["rows_lost"]), (&0.into(), &0.into()));
}
