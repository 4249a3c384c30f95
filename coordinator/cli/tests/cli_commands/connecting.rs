//! Finding the cluster: contexts, sockets, every address, and errors that say what to do.

use crate::bed::{Authority, Bed, IDLE, NOBODY, RUNNING, SAMPLE};

#[tokio::test]
async fn without_context_and_socket_the_error_names_both_places() {
    let bed = Bed::new();
    if std::path::Path::new("/run/lockkeeper/agent.sock").exists() {
        // On a machine with an agent of its own the default socket is right.
        return;
    }
    let ran = bed.run_plain(&["status"]).await.ends(1);
    assert!(ran.err.contains("error[LK7001]") && ran.err.contains(".config/lockkeeper"), "{}", ran.err);
    assert!(ran.err.contains("= then:") && ran.out.is_empty());
}

#[tokio::test]
async fn one_context_is_taken_by_itself_and_several_must_be_named() {
    let bed = Bed::new();
    let authority = Authority::new("c-1");
    let (_agent, address) = authority.agent("n1", IDLE).await;
    let contexts = bed.path(".config/lockkeeper");
    authority.context(&contexts, "library", &[&address]);
    bed.run_plain(&["status", "--context", "library"]).await.ends(0);
    bed.run_plain(&["status", "--context", ".config/lockkeeper/library.toml"]).await.ends(0);
    if !std::path::Path::new("/run/lockkeeper/agent.sock").exists() {
        bed.run_plain(&["status"]).await.ends(0);
        authority.context(&contexts, "museum", &[NOBODY]);
        let several = bed.run_plain(&["status"]).await.ends(1);
        assert!(
            several.err.contains("error[LK7002]") && several.err.contains("library, museum"),
            "{}",
            several.err
        );
    }
    let none = bed.run_plain(&["status", "--context", "zoo"]).await.ends(1);
    assert!(none.err.contains("error[LK7003] there is no context zoo"), "{}", none.err);
}

#[tokio::test]
async fn every_address_is_tried_and_it_is_said() {
    let bed = Bed::new();
    let authority = Authority::new("c-1");
    let (agent, address) = authority.agent("n2", RUNNING).await;
    let path = authority.context(&bed.path("ctx"), "library", &[NOBODY, &address]);
    let context = path.to_str().unwrap();
    let ran = bed.run_plain(&["status", "--json", "--context", context]).await.ends(0);
    assert_eq!(ran.json()["cluster"], "library");
    assert!(ran.err.contains("LK4012") && ran.err.contains(&format!("{address} answered")), "{}", ran.err);
    bed.run_plain(&["resume", "--context", context]).await.ends(0);
    assert_eq!(agent.asked(), ["status linearizable=false", "resume"]);
    drop(agent);
    let nobody = bed.run_plain(&["status", "--context", context]).await.ends(1);
    assert!(nobody.err.contains("error[LK7004]") && nobody.err.contains(NOBODY), "{}", nobody.err);
    assert!(nobody.err.contains("lockkeeper explain LK4012"), "{}", nobody.err);
}

#[tokio::test]
async fn a_certificate_of_another_cluster_is_named_as_the_reason() {
    let bed = Bed::new();
    let (ours, theirs) = (Authority::new("c-1"), Authority::new("c-2"));
    let (_agent, address) = theirs.agent("n1", IDLE).await;
    let path = ours.context(&bed.path("ctx"), "library", &[&address]);
    let ran = bed.run_plain(&["status", "--context", path.to_str().unwrap()]).await.ends(1);
    assert!(ran.err.contains("error[LK7004]") && ran.err.contains("LK40"), "{}", ran.err);
    assert!(ran.err.contains("= then:"), "{}", ran.err);
}

#[tokio::test]
async fn a_dead_socket_is_an_error_for_changes_and_a_note_for_reading() {
    let bed = Bed::new();
    let authority = Authority::new("c-1");
    let (agent, address) = authority.agent("n1", IDLE).await;
    authority.context(&bed.path(".config/lockkeeper"), "library", &[&address]);
    let change = bed.run(&["resume"]).await.ends(1);
    assert!(change.err.contains("LK4012") && change.err.contains("agent.sock"), "{}", change.err);
    assert_eq!(agent.asked(), Vec::<String>::new(), "a change must not go out as somebody else");
    let read = bed.run(&["status"]).await.ends(0);
    assert!(read.err.contains("agent.sock") && read.err.contains("answered"), "{}", read.err);
}

#[tokio::test]
async fn an_exposed_or_broken_context_is_refused_by_its_own_code() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::new();
    let authority = Authority::new("c-1");
    let path = authority.context(&bed.path("ctx"), "library", &[NOBODY]);
    let key = bed.path("ctx/library.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let context = path.to_str().unwrap();
    let exposed = bed.run_plain(&["status", "--context", context]).await.ends(1);
    assert!(exposed.err.contains("error[LK4106]"), "{}", exposed.err);
    std::fs::write(&path, "nonsense").unwrap();
    let broken = bed.run_plain(&["status", "--context", context]).await.ends(1);
    assert!(broken.err.contains("error[LK4105]"), "{}", broken.err);
}

#[tokio::test]
async fn applying_a_cluster_file_teaches_the_context_its_addresses() {
    let bed = Bed::new();
    let authority = Authority::new("c-1");
    let (_agent, address) = authority.agent("n1", IDLE).await;
    let path = authority.context(&bed.path("ctx"), "library", &[&address]);
    let context = path.to_str().unwrap();
    bed.write("cluster.toml", SAMPLE);
    let ran = bed.run_plain(&["cluster", "apply", "cluster.toml", "--context", context]).await.ends(0);
    assert!(ran.err.contains("your context knows"), "{}", ran.err);
    let known = lockkeeper_coordinator::pki::OperatorContext::read(&path).unwrap().addresses;
    assert_eq!(known[0], address, "the one that works stays first");
    assert_eq!(known.len(), 5);
    // Nothing new the second time, and it still works.
    let again = bed.run_plain(&["cluster", "apply", "cluster.toml", "--context", context]).await.ends(0);
    assert!(!again.err.contains("your context knows"), "{}", again.err);
}
