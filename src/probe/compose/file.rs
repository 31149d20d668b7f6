//! Which services a Compose file has.

use std::path::Path;

use granit_parser::{Event, Parser, StrInput};

use crate::probe::ProbeError;

/// Compose files are small; anything longer is something else.
const MOST: u64 = 1024 * 1024;

/// The services that `docker compose up` starts: not those of a profile, nor those of which there are to be none.
pub fn services(path: &Path) -> Result<Vec<String>, ProbeError> {
    let place = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| ProbeError::io(path.display(), &error))?;
    let wrong = |why: &str| {
        ProbeError::new("bad_answer", format!("the services of {place} cannot be read: {why}"))
            .help("name them in `service` instead; `docker compose config --services` lists them")
    };
    if !metadata.is_file() || metadata.len() > MOST {
        return Err(wrong("it is no file of at most 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| ProbeError::io(path.display(), &error))?;
    parse(&text).map_err(|why| wrong(&why))
}

pub(crate) fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut reader = Reader(Parser::new_from_str(text));
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::MappingStart(..) => break,
            _ => return Err("it is no mapping".to_owned()),
        }
    }
    let mut found = None;
    while let Some(key) = reader.key()? {
        let event = reader.next()?;
        match (key.as_str(), event) {
            ("services", Event::MappingStart(..)) => found = Some(reader.services()?),
            ("include", _) => return Err("it includes other files".to_owned()),
            (_, event) => reader.skip(&event)?,
        }
    }
    found.ok_or_else(|| "it has no `services`".to_owned())
}

/// Goes through a document without unfolding aliases.
struct Reader<'t>(Parser<'t, StrInput<'t>>);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.0.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(format!("it is no YAML: {error}")),
            None => Err("it ends too early".to_owned()),
        }
    }

    /// The next key of a mapping; none at its end.
    fn key(&mut self) -> Result<Option<String>, String> {
        match self.next()? {
            Event::Scalar(text, ..) => Ok(Some(text.into_owned())),
            Event::MappingEnd => Ok(None),
            _ => Err("a key is no word".to_owned()),
        }
    }

    /// Passes over the rest of the value that begins with `event`.
    fn skip(&mut self, event: &Event<'_>) -> Result<(), String> {
        let starts = |event: &Event<'_>| matches!(event, Event::MappingStart(..) | Event::SequenceStart(..));
        let mut depth = usize::from(starts(event));
        while depth > 0 {
            let event = self.next()?;
            if starts(&event) {
                depth += 1;
            } else if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
                depth -= 1;
            }
        }
        Ok(())
    }

    fn services(&mut self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        while let Some(name) = self.key()? {
            let is_started = match self.next()? {
                Event::MappingStart(..) => self.is_started(&["scale"])?,
                event => {
                    self.skip(&event)?;
                    true
                }
            };
            if is_started && name != "<<" {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Reads a service, or its `deploy`: whether any container of it is to be there. `none` are the keys whose 0 says
    /// that there is to be none.
    fn is_started(&mut self, none: &[&str]) -> Result<bool, String> {
        let mut started = true;
        while let Some(key) = self.key()? {
            match self.next()? {
                Event::Scalar(text, ..) if none.contains(&key.as_str()) && text == "0" => started = false,
                Event::MappingStart(..) if key == "deploy" => started &= self.is_started(&["replicas"])?,
                Event::SequenceStart(..) if key == "profiles" => started &= self.is_empty()?,
                event => self.skip(&event)?,
            }
        }
        Ok(started)
    }

    /// Passes over a list that has begun.
    fn is_empty(&mut self) -> Result<bool, String> {
        let mut empty = true;
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(empty),
                event => {
                    empty = false;
                    self.skip(&event)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_that_up_starts_are_found() {
        let text = "
name: shop
x-common: &common { restart: always, services: { not: this } }
services:
  web: { <<: *common, image: 'shop:1.0', ports: ['80:80'] }
  db:
    image: postgres:17
    profiles: []
  debug: { image: busybox, profiles: [debug] }
  worker: { image: shop, deploy: { replicas: 0 } }
  cron: *common
volumes: { data: {} }
";
        assert_eq!(parse(text).expect("services"), ["web", "db", "cron"]);
    }

    #[test]
    fn what_does_not_tell_the_services_is_refused() {
        assert_eq!(parse("include: [other.yaml]\nservices: {}").expect_err("others"), "it includes other files");
        assert_eq!(parse("web: {}").expect_err("none"), "it has no `services`");
        assert_eq!(parse("- a").expect_err("a list"), "it is no mapping");
        assert!(parse("a: [").expect_err("cut").starts_with("it is no YAML"));
        assert!(parse("").is_err());
    }
}
