//! What assignments mean, written down once more, in another way.

use std::collections::BTreeMap;

use crate::support::prometheus::Group;
use crate::support::wire::{Pairs, V1, V1alpha1, pairs};

/// What `assignment` promises about names, written down once more, in another way.
fn valid_names(labels: &Pairs) -> BTreeMap<String, String> {
    let is_letter = |character: char| character.is_ascii_alphabetic() || character == '_';
    let mut ranked: Vec<(String, bool, &String, &String)> = Vec::new();
    // Of equal names the last one counts.
    let labels: BTreeMap<&String, &String> =
        labels.iter().map(|(name, value)| (name, value)).collect();
    for (name, value) in labels {
        let mut valid = String::new();
        for character in name.chars() {
            if valid.is_empty() && character.is_ascii_digit() {
                valid.push('_');
            }
            let stays = is_letter(character) || character.is_ascii_digit();
            valid.push(if stays { character } else { '_' });
        }
        if !valid.is_empty() {
            ranked.push((valid.clone(), valid != *name, name, value));
        }
    }
    ranked.sort();
    ranked.dedup_by(|later, earlier| later.0 == earlier.0);
    ranked.into_iter().map(|(name, _, _, value)| (name, value.clone())).collect()
}

/// What a v1 assignment means, likewise; the last map that has a name wins.
pub(crate) fn meaning_of_v1(assignment: &V1) -> Vec<Group> {
    let mut targets = Vec::new();
    for target in assignment.targets.iter().filter(|target| !target.address.is_empty()) {
        let fields = pairs(&[
            ("mesh", &assignment.mesh),
            ("service", &assignment.service),
            ("job", &assignment.service),
            ("dataplane", &target.name),
            ("instance", &target.name),
            ("__scheme__", &target.scheme),
            ("__metrics_path__", &target.metrics_path),
        ]);
        let maps = [&target.labels, &assignment.labels, &fields];
        targets.push(merged(&target.address, &maps.map(valid_names)));
    }
    targets
}

/// What a v1alpha1 assignment means, likewise.
pub(crate) fn meaning_of_v1alpha1(assignment: &V1alpha1) -> Vec<Group> {
    let mut targets = Vec::new();
    for target in &assignment.targets {
        let own = valid_names(target);
        if let Some(address) = own.get("__address__").filter(|address| !address.is_empty()) {
            let address = address.clone();
            targets.push(merged(&address, &[valid_names(&assignment.labels), own]));
        }
    }
    targets
}

fn merged(address: &str, maps: &[BTreeMap<String, String>]) -> Group {
    let mut labels: BTreeMap<String, String> =
        maps.iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.retain(|name, value| name != "__address__" && !value.is_empty());
    Group { address: address.to_owned(), labels }
}
