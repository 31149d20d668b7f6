//! Markdown and HTML.

use opsctl::report::Format;

use super::{every_run, formatted, read_by, runs, signs};

/// The elements and attributes that a reader of HTML finds, as Python's reader has them.
fn elements(html: &str) -> Vec<(String, Vec<String>)> {
    let script = "import json, sys\nfrom html.parser import HTMLParser\nfound = []\n\
        class Reader(HTMLParser):\n    def handle_starttag(self, tag, attrs):\n        \
        found.append([tag, [name for name, _ in attrs]])\n\
        Reader().feed(sys.stdin.read())\nprint(json.dumps(found))";
    let (is_read, said) = read_by("/usr/bin/python3", &["-c", script], html);
    assert!(is_read, "{said}");
    serde_json::from_str(&said).expect("what the script prints")
}

#[test]
fn the_page_has_no_script_and_nothing_from_elsewhere_whatever_was_seen() {
    for (name, events) in every_run() {
        for (element, attributes) in elements(&formatted(Format::Html, &events)) {
            assert!(
                !["script", "img", "link", "a", "iframe", "object", "form"].contains(&element.as_str()),
                "{name}: {element}"
            );
            let acts = |name: &String| name.starts_with("on") || matches!(name.as_str(), "src" | "href" | "style");
            assert!(!attributes.iter().any(acts), "{name}: {element} {attributes:?}");
        }
    }
}

#[test]
fn an_outcome_is_a_word_and_not_a_colour_alone() {
    let html = formatted(Format::Html, &runs::disk_failed());
    for word in [">FAILED</span>", ">failed</span>", ">errored</span>", ">skipped</span>", ">unmet</span>"] {
        assert!(html.contains(word), "{word}");
    }
}

/// As python3-markdown makes HTML of it: without what the report has not made itself.
#[test]
fn outside_text_is_no_markdown() {
    for events in [runs::hostile(), signs()] {
        let text = formatted(Format::Markdown, &events);
        let script =
            "import sys, markdown\nprint(markdown.markdown(sys.stdin.read(), extensions=['tables', 'fenced_code']))";
        let (is_read, html) = read_by("/usr/bin/python3", &["-c", script], &text);
        assert!(is_read, "{html}");
        let known = [
            "h1", "h2", "h3", "p", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td", "pre", "code",
            "br",
        ];
        for (element, _) in elements(&html) {
            assert!(known.contains(&element.as_str()), "{element}: {html}");
        }
        assert!(!html.contains("<code>code</code>"), "{html}");
    }
}

#[test]
fn no_line_of_evidence_closes_its_fence() {
    let text = formatted(Format::Markdown, &signs());
    assert_eq!(text.lines().filter(|line| line.starts_with("````")).count(), 2, "{text}");
}
