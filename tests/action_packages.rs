//! Packages: by apt on a disposable machine with a repository of its own, by pip in virtual environments.

mod apt;
mod pip;

use opsctl::model::fact::Subject;
use opsctl::model::value::Value;
use serde_json::json;

use crate::support::act::Act;

fn texts(subject: &Subject, fact: &str) -> Vec<String> {
    let Value::List(items) = &subject.facts[fact] else { panic!("{fact} is {:?}", subject.facts[fact]) };
    items.iter().map(|item| if let Value::Text(text) = item { text.clone() } else { panic!("{item:?}") }).collect()
}

#[test]
fn inputs_that_leave_open_what_is_installed_are_refused() {
    let wrong = |inputs| Act::new("packages", inputs).build().err().expect("wrong inputs").message;
    assert_eq!(wrong(json!({"manager": "apt", "package": "nginx"})), "`nginx` is no package with an exact version");
    assert_eq!(wrong(json!({"manager": "apt", "package": ["nginx=1.0", "nginx=1.1"]})), "`nginx` is named twice");
    for text in ["-y=1.0", "nginx-=1.0", "nginx=1.0-", "nginx=*", "a b=1", "nginx=", "../x.deb=1"] {
        assert!(
            wrong(json!({"manager": "apt", "package": text})).ends_with("no package with an exact version"),
            "{text}"
        );
    }
    let pip = |package: &str| wrong(json!({"manager": "pip", "environment": "/srv", "package": package}));
    assert_eq!(pip("Django>=4.2"), "`Django>=4.2` is no package with an exact version");
    assert_eq!(pip("Django==4.*"), "`Django==4.*` is no package with an exact version");
    assert_eq!(
        wrong(json!({"manager": "pip", "package": "Django==4.2"})),
        "pip needs the virtual environment in which it works"
    );
}
