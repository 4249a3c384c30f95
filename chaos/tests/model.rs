//! Searches states of a rollout that the shipped `next` and `apply` can come to.

use lockkeeper_chaos::{
    model::{Search, search},
    report::show,
};

#[test]
fn no_law_is_broken_in_a_hundred_thousand_states() {
    let found = search(Search { each: 2_500, plant: None });
    show("search through the states of a rollout", &found.to_string());
    assert!(found.fault.is_none() && found.counterexample.is_none(), "{found}");
    assert!(found.nodes >= 100_000, "{found}");
}

#[cfg(feature = "plant")]
#[test]
fn a_planted_bug_is_found_with_the_way_to_it() {
    use lockkeeper_chaos::plant::Planted;
    let mut text = String::new();
    for (plant, law) in [
        // The shortest way to harm: an abort opens the door on a holder who may still come in.
        (Planted::LostIsOut, "door_shut"),
        (Planted::StopUndrained, "drained_before_stop"),
    ] {
        let found = search(Search { each: 2_000, plant: Some(plant) });
        text += &format!("{}: {found}\n", plant.as_str());
        assert_eq!(found.counterexample.as_ref().map(|c| c.broken.law), Some(law), "{plant:?}: {found}");
    }
    show("planted bugs found by the search", &text);
}
