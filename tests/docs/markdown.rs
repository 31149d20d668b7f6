//! As much of Markdown as the manual uses: headings, links, blocks of code, code in a line.

/// A block between two lines of backticks.
pub struct Block {
    /// The word behind the backticks, such as `yaml`.
    pub language: String,
    pub text: String,
    /// Of its first line, from 1.
    pub line: usize,
}

pub struct Page {
    pub blocks: Vec<Block>,
    /// The lines outside of blocks, with their numbers from 1.
    pub prose: Vec<(usize, String)>,
}

pub fn parse(text: &str) -> Page {
    let (mut blocks, mut prose) = (Vec::<Block>::new(), Vec::new());
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                blocks.push(Block { language: language.trim().to_owned(), text: String::new(), line: index + 2 });
                open = true;
            }
            None if open => {
                let block = blocks.last_mut().expect("an open block");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => prose.push((index + 1, line.to_owned())),
        }
    }
    assert!(!open, "a block of code has no end");
    Page { blocks, prose }
}

impl Page {
    /// The targets of `[text](target)`.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in &self.prose {
            for rest in without_code(line).split("](").skip(1) {
                links.push((*number, rest.split(')').next().unwrap_or_default().to_owned()));
            }
        }
        links
    }

    /// The texts between single backticks. A pair may span two lines of a paragraph.
    pub fn code(&self) -> Vec<(usize, String)> {
        let mut codes = Vec::new();
        let mut open: Option<(usize, String)> = None;
        for (number, line) in &self.prose {
            if line.is_empty() || line.starts_with(['|', '#', '-', '*']) {
                open = None;
            }
            for (index, part) in line.split('`').enumerate() {
                if index > 0 {
                    match open.take() {
                        Some(code) => codes.push(code),
                        None => open = Some((*number, String::new())),
                    }
                }
                if let Some((_, code)) = &mut open {
                    code.push_str(if code.is_empty() || index > 0 { "" } else { " " });
                    code.push_str(part);
                }
            }
        }
        codes
    }

    /// The anchors of the headings, as the usual renderers make them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self
            .prose
            .iter()
            .filter_map(|(_, line)| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
        headings
            .map(|heading| {
                let kept = heading.to_lowercase().replace(' ', "-");
                kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
            })
            .collect()
    }
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}
