//! The mask: no secret gets out, whatever surrounds it.

use opsctl::model::secret::{MASK, Mask, Secret, SecretRef};
use opsctl::model::text::{one_line, shortened};
use proptest::collection::vec;
use proptest::prelude::*;

use super::cases;

fn mask(secrets: &[&str]) -> Mask {
    let mask = Mask::default();
    for secret in secrets {
        mask.add(secret);
    }
    mask
}

type Spelling = (&'static str, fn(&str) -> String);

/// How a secret may stand in what a server answers, or in the text of an error.
const SPELLINGS: [Spelling; 7] = [
    ("as it is", str::to_owned),
    ("in a form", |text| {
        let url = reqwest::Url::parse_with_params("http://localhost/", [("", text)]).expect("a URL");
        url.query().expect("a query")[1..].to_owned()
    }),
    ("in a URL, each byte", |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat()),
    ("in JSON", |text| quoted(&serde_json::to_string(text).expect("JSON"))),
    ("in JSON of ASCII", |text| {
        let spelled = |c: char| match c {
            '/' => r"\/".to_owned(),
            '"' | '\\' => format!("\\{c}"),
            c if c.is_ascii() => c.to_string(),
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat(),
        };
        text.chars().map(spelled).collect()
    }),
    ("in XML", |text| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('"', "&quot;").replace('\'', "&#39;").replace('ż', "&#x17C;")
    }),
    ("in code", |text| quoted(&format!("{text:?}"))),
];

fn quoted(text: &str) -> String {
    text[1..text.len() - 1].to_owned()
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn no_secret_is_left_in_a_masked_text(secrets in vec("[abż]{4,6}", 1..4), text in "[abżx]{0,60}") {
        let mask = mask(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
        let masked = mask.apply(&text).into_owned();
        for secret in &secrets {
            prop_assert!(!masked.contains(secret.as_str()), "{} in {}", secret, masked);
        }
    }

    #[test]
    fn no_beginning_of_a_secret_is_left_in_a_text_that_was_cut(before in "[abż ]{0,8}", most in 0_usize..16) {
        let mask = mask(&["hunter22"]);
        let text = format!("{before}hunter22 and more");
        for cut in [shortened(&text, most), one_line(&text, most)] {
            prop_assert!(!mask.apply(&cut).contains("hunt"), "{}", cut);
        }
    }

    #[test]
    fn a_secret_is_stars_however_it_is_spelled(secret in "[a-c%+&;\\\\\"'<>/= żó🔑]{4,8}", after in "[xyz]{0,4}") {
        let mask = mask(&[&secret]);
        for (name, spell) in SPELLINGS {
            // What stands around it can be no part of it: a blank could be its first character.
            let text = format!("is:{},{after}", spell(&secret));
            prop_assert_eq!(mask.apply(&text), format!("is:***,{after}"), "{}: {}", name, text);
        }
    }

    #[test]
    fn no_spelled_beginning_of_a_secret_is_left_in_a_text_that_was_cut(most in 0_usize..60) {
        let mask = mask(&["hunt&\"/ż2!"]);
        for (name, spell) in SPELLINGS {
            let cut = shortened(&format!("is: {}", spell("hunt&\"/ż2!")), most);
            prop_assert!(!mask.apply(&cut).contains("hunt"), "{}: {}", name, cut);
        }
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is(text in any::<String>()) {
        prop_assert_eq!(mask(&["\u{1}never-there\u{1}"]).apply(&text).into_owned(), text.clone());
        prop_assert_eq!(Mask::default().apply(&text), text.clone());
    }
}

#[test]
fn secrets_are_stars_wherever_they_stand() {
    let mask = mask(&["hunter22"]);
    assert_eq!(mask.apply("user:hunter22@host hunter22"), "user:***@host ***");
}

#[test]
fn a_secret_inside_another_does_not_uncover_it() {
    assert_eq!(mask(&["abcd", "xxabcdyy"]).apply("1 xxabcdyy 2 abcd 3"), "1 *** 2 *** 3");
}

#[test]
fn overlapping_secrets_leave_no_part_of_each_other() {
    assert_eq!(mask(&["abcdef", "defghi"]).apply("<abcdefghi>"), "<***>");
    assert_eq!(mask(&["abab"]).apply("<ababab>"), "<***>");
    // Read from the blank on, it stands there as well: a plus is a blank of a form or itself.
    assert_eq!(mask(&["  +%"]).apply("is: ++%2B%25,"), "is:***,");
}

#[test]
fn a_secret_that_was_cut_off_with_its_text_is_stars_too() {
    assert_eq!(mask(&["hunter22"]).apply("the last line is: token hunter2..."), "the last line is: token ***...");
    assert_eq!(mask(&["hunter22"]).apply("they hunt... a lot"), "they ***... a lot", "rather too much than too little");
    assert_eq!(mask(&["hunter22"]).apply("hun... and hunter"), "hun... and hunter");
    assert_eq!(
        mask(&["hunter22"]).apply("hunter … File"),
        "*** … File",
        "the beginning of an entry, and one of its lines"
    );
    assert_eq!(mask(&["hunterż2"]).apply("hunter\u{fffd}..."), "***\u{fffd}...", "cut within a character");
}

#[test]
fn a_secret_of_several_lines_is_stars_in_each_of_them() {
    let mask = mask(&["-----BEGIN KEY-----\n  MHcCAQEE  IBEb\n}\n-----END KEY-----\n"]);
    for line in ["-----BEGIN KEY-----", "MHcCAQEE  IBEb", "-----END KEY-----"] {
        assert_eq!(mask.apply(line), "***");
    }
    assert_eq!(mask.apply("said: -----BEGIN KEY----- MHcCAQEE IBEb } -----END KEY----- twice"), "said: *** twice");
    assert_eq!(mask.apply("said: -----BEGIN KEY----- MHcCAQEE..."), "said: ***...");
}

#[test]
fn a_secret_of_a_few_letters_is_not_looked_for() {
    assert_eq!(mask(&["yes"]).apply("yes and no"), "yes and no");
}

#[test]
fn printing_a_secret_or_its_reference_shows_no_secret() {
    assert_eq!(format!("{:?}", Secret::new("hunter22".to_owned())), MASK);
    assert!(!format!("{:?}", mask(&["hunter22"])).contains("hunter22"));
    assert_eq!(SecretRef::Env("TOKEN".to_owned()).to_string(), "$TOKEN");
    let command = SecretRef::Command(vec!["pass".to_owned(), "--key=hunter22".to_owned()]);
    assert_eq!(command.to_string(), "command pass");
}
