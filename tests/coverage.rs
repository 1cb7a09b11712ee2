//! Every threat and every scenario of the requirements has its tests: those that `coverage.toml` names exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// By group, then by id within the group: the tests.
type Coverage = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn coverage() -> Coverage {
    let text = fs::read_to_string(project().join("tests/coverage.toml")).expect("the list");
    toml::from_str(&text).expect("groups of ids with lists of tests")
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file of a test: Rust below `tests/` or `src/`, Python in `tests/real/`.
fn file(place: &str) -> PathBuf {
    match place {
        unit if unit.starts_with("src/") => project().join(format!("{unit}.rs")),
        real if real.starts_with("real/") => project().join(format!("tests/{real}.py")),
        own => project().join(format!("tests/{own}.rs")),
    }
}

fn is_there(test: &str) -> bool {
    let (place, name) = test.split_once("::").expect("FILE::TEST");
    let text = fs::read_to_string(file(place)).unwrap_or_default();
    [format!("fn {name}("), format!("def {name}(")].iter().any(|head| text.contains(head))
}

#[test]
fn every_test_that_is_named_exists() {
    let coverage = coverage();
    let tests: Vec<&String> = coverage.values().flat_map(BTreeMap::values).flatten().collect();
    let missing: Vec<_> = tests.iter().filter(|test| !is_there(test)).collect();
    assert!(tests.len() > 100 && missing.is_empty(), "of {} tests: {missing:#?}", tests.len());
    assert!(!is_there("coverage::no_such_test") && !is_there("nowhere::every_test_that_is_named_exists"));
}

#[test]
fn every_threat_to_the_listener_and_every_group_of_scenarios_has_tests() {
    let coverage = coverage();
    let empty: Vec<_> =
        coverage.values().flatten().filter(|(_, tests)| tests.is_empty()).map(|(id, _)| id.as_str()).collect();
    assert!(empty.is_empty(), "{empty:?}");
    let threats: Vec<_> = (1..=29).filter(|number: &i32| !coverage["L"].contains_key(&number.to_string())).collect();
    assert!(threats.is_empty(), "L-{threats:?}");
    for group in ["MA", "MB", "MC", "MD", "ME", "MF", "MG", "MK", "ML", "MM", "MN"] {
        assert!(coverage.contains_key(group), "{group}");
    }
    assert_eq!(coverage["F"].len(), 10, "the faults that others fail at");
}
