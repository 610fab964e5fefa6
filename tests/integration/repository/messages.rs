//! The guide's table of messages has no message that the program does not write.

use std::fs;

use crate::support::command::repository;
use crate::support::files::entries;

/// Fragments shorter than this, such as `s late`, may stand anywhere.
const SHORTEST: usize = 8;

#[test]
fn each_message_of_the_guide_is_one_of_the_programs() {
    let guide = fs::read_to_string(repository().join("docs/operators-guide.md")).unwrap();
    let files = entries(&repository().join("src"));
    let sources = files.iter().filter(|path| path.is_file());
    let texts: Vec<String> =
        sources.flat_map(|path| texts_of(&fs::read_to_string(path).unwrap())).collect();
    let messages = messages(&guide);
    let fragments: Vec<String> =
        messages.iter().flat_map(|message| fragments_of(message)).collect();
    assert!(fragments.len() > 40, "{fragments:?}");
    let is_unknown = |fragment: &&String| !texts.iter().any(|text| text.contains(&**fragment));
    let unknown: Vec<&String> = fragments.iter().filter(is_unknown).collect();
    assert!(unknown.is_empty(), "in the guide only: {unknown:#?}");
}

/// What stands in backticks in the first column of the table of messages.
fn messages(guide: &str) -> Vec<String> {
    let rows = guide
        .lines()
        .skip_while(|line| !line.starts_with("| message or symptom"))
        .take_while(|line| line.starts_with('|'));
    let first_columns = rows.filter_map(|row| row.split('|').nth(1));
    let quoted = first_columns.flat_map(|column| column.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

/// What of a message is always the same: not what `…` stands for, and no number or path. At a
/// punctuation mark one text may end and another one begin.
fn fragments_of(message: &str) -> Vec<String> {
    let is_constant = |word: &str| {
        let is_variable = |c: char| c.is_ascii_digit() || "/$[]".contains(c);
        word != "N" && !word.contains(is_variable)
    };
    let parts = message.split(|c| "…:;,(\"'".contains(c));
    let fragments = parts.flat_map(|part| {
        let words: Vec<&str> = part.split(' ').collect();
        let runs = words.split(|word| !is_constant(word));
        runs.map(|run| run.join(" ").trim().to_owned()).collect::<Vec<_>>()
    });
    fragments.filter(|fragment| fragment.len() >= SHORTEST).collect()
}

/// The texts of a source, as they are written: without backticks and placeholders, on one line.
fn texts_of(source: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(character) = rest.next() {
            match character {
                '"' => break,
                '\\' if rest.peek() == Some(&'\n') => {
                    while rest.next_if(|character| character.is_whitespace()).is_some() {}
                }
                '\\' => text.extend(rest.next()),
                '`' => {}
                character => text.push(character),
            }
        }
        texts.push(text);
    }
    texts
}
