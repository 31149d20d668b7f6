//! The disk of a container engine, with a stand-in for Docker: see [`crate::support::containers`].

use opsctl::model::value::Value;
use serde_json::json;

use crate::support::containers::{Engine, Manner};

const GIB: u64 = 1024 * 1024 * 1024;

#[test]
fn what_is_used_and_what_is_waste_is_counted_as_docker_counts_it_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.usage(json!({
        "LayersSize": 10 * GIB,
        "Images": [
            {"Id": "sha256:1", "RepoTags": ["shop:1.0"], "Size": 6 * GIB, "SharedSize": GIB, "Containers": 1},
            {"Id": "sha256:2", "RepoTags": null, "Size": 4 * GIB, "SharedSize": GIB, "Containers": 0},
            {"Id": "sha256:3", "RepoTags": ["uncounted:1"], "Size": -1, "SharedSize": -1, "Containers": 1},
        ],
        "Containers": [
            {"Id": "a", "Names": ["/web"], "SizeRw": GIB, "State": "running"},
            {"Id": "b", "Names": ["/old"], "SizeRw": 3 * GIB, "State": "exited"},
            {"Id": "c", "Names": ["/clean"], "State": "created"},
        ],
        "Volumes": [
            {"Name": "data", "UsageData": {"Size": 20 * GIB, "RefCount": 1}},
            {"Name": "left", "UsageData": {"Size": 5 * GIB, "RefCount": 0}},
            {"Name": "remote", "UsageData": {"Size": -1, "RefCount": 1}},
            {"Name": "unknown"},
        ],
        "BuildCache": [
            {"ID": "x", "Size": 2 * GIB, "InUse": false, "Shared": false},
            {"ID": "y", "Size": GIB, "InUse": true, "Shared": false},
            {"ID": "z", "Size": 9 * GIB, "InUse": false, "Shared": true},
        ],
    }));
    let mut all = engine.look("container_disk", json!({})).run().expect("a look");
    let seen = all.subjects.remove(0);
    for (fact, size) in [("images", 10), ("containers", 4), ("volumes", 25), ("build_cache", 3), ("size", 42)] {
        assert_eq!(seen.facts[fact], Value::bytes(size * GIB), "{fact}");
    }
    for (fact, part, whole) in [
        ("images_reclaimable", 5, 10),
        ("containers_reclaimable", 3, 4),
        ("volumes_reclaimable", 5, 25),
        ("build_cache_reclaimable", 2, 3),
        ("reclaimable", 15, 42),
    ] {
        assert_eq!(seen.facts[fact], Value::share(part * GIB, whole * GIB), "{fact}");
    }
    assert_eq!(seen.facts["unused_volumes"], Value::Integer(1));
    assert_eq!(seen.notes, ["2 volumes are not counted, for the engine does not know their size"]);
    let lines = &all.evidence[0].lines;
    assert_eq!((lines[0].trim(), lines[1].trim()), ("20 GiB  volume data", "5 GiB  image shop:1.0"), "{lines:?}");
    assert!(lines.contains(&"     5 GiB  volume left  unused".to_owned()), "{lines:?}");
}

#[test]
fn an_engine_with_nothing_takes_nothing_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    engine.usage(json!({"LayersSize": 0, "Images": null, "Containers": null, "Volumes": null, "BuildCache": null}));
    let seen = engine.look("container_disk", json!({})).subject();
    assert_eq!((&seen.facts["size"], &seen.facts["answers"]), (&Value::bytes(0), &Value::Bool(true)));
}

#[test]
fn an_answer_without_sizes_is_not_an_empty_disk_with_a_stand_in_for_docker() {
    let engine = Engine::start();
    for nothing in ["{}", "[]", "", r#"{"Images": []}"#] {
        engine.answers("/system/df", Manner::Says(200, nothing));
        let error = engine.look("container_disk", json!({})).run().expect_err("no sizes");
        assert_eq!(error.code, "bad_answer", "{nothing}");
    }
    engine.answers("/system/df", Manner::Says(500, r#"{"message": "context deadline exceeded"}"#));
    let seen = engine.look("container_disk", json!({})).subject();
    assert_eq!(seen.facts["answers"], Value::Bool(false));
    assert!(seen.notes[0].ends_with("with 500: context deadline exceeded"), "{seen:?}");
}
