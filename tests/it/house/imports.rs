//! Files of a crate import each other one way: without cycles, a file can be read and tested without the files that use it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sources::{Crate, crates};

/// Imports that may close a cycle: the crate, the file, what it imports from, and why. Paths are those below `src`.
const ACCEPTED: &[(&str, &str, &str, &str)] = &[];

type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

#[test]
fn no_two_files_of_a_crate_import_each_other() {
    let mut wrong = Vec::new();
    let (mut used, mut imports) = (BTreeSet::new(), 0);
    for krate in crates() {
        let mut graph = graph(&krate);
        imports += graph.values().map(BTreeSet::len).sum::<usize>();
        for (number, (name, from, to, _)) in ACCEPTED.iter().enumerate() {
            let closes_a_cycle = *name == krate.name && leads(&graph, to, from);
            if closes_a_cycle && graph.get_mut(from).is_some_and(|to_all| to_all.remove(to)) {
                used.insert(number);
            }
        }
        for cycle in cycles(&graph) {
            wrong.push(format!("{}: {}", krate.name, cycle.join(" → ")));
        }
    }
    assert!(imports > 300, "only {imports} imports are found");
    assert!(wrong.is_empty(), "import cycles:\n{}", wrong.join("\n"));
    for (number, accepted) in ACCEPTED.iter().enumerate() {
        assert!(used.contains(&number), "it closes no cycle: {accepted:?}");
    }
}

/// Which files each file imports from.
fn graph(krate: &Crate) -> Graph<'_> {
    let mut graph = Graph::new();
    for (from, to) in krate.imports() {
        graph.entry(from).or_default().insert(to);
        graph.entry(to).or_default();
    }
    graph
}

/// A shortest cycle through each file that is on one, without repetitions.
fn cycles<'a>(graph: &Graph<'a>) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    for start in graph.keys() {
        let known = found.iter().any(|cycle| cycle.contains(start));
        if !known && let Some(cycle) = cycle_through(graph, start) {
            found.push(cycle);
        }
    }
    found
}

/// A shortest way from a file back to it.
fn cycle_through<'a>(graph: &Graph<'a>, start: &'a str) -> Option<Vec<&'a str>> {
    let came_from = reached(graph, start);
    let mut cycle = vec![start];
    let mut at = *came_from.get(start)?;
    while at != start {
        cycle.push(at);
        at = came_from[at];
    }
    cycle.push(start);
    cycle.reverse();
    Some(cycle)
}

/// Whether one file needs another one, directly or not.
fn leads(graph: &Graph, from: &str, to: &str) -> bool {
    reached(graph, from).contains_key(to)
}

/// The files that a file needs, directly or not, nearest first: each with the one that needs it on the way.
fn reached<'a>(graph: &Graph<'a>, start: &str) -> BTreeMap<&'a str, &'a str> {
    let mut came_from = BTreeMap::new();
    let mut next: VecDeque<&str> = graph
        .get_key_value(start)
        .map(|(start, _)| *start)
        .into_iter()
        .collect();
    while let Some(from) = next.pop_front() {
        for to in &graph[from] {
            if !came_from.contains_key(to) {
                came_from.insert(*to, from);
                next.push_back(to);
            }
        }
    }
    came_from
}

#[test]
fn a_cycle_over_three_files_is_found_and_what_only_leads_to_it_is_not_blamed() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("c", "e")];
    let mut graph = Graph::new();
    for (from, to) in edges {
        graph.entry(from).or_default().insert(to);
        graph.entry(to).or_default();
    }
    assert_eq!(cycles(&graph), [["a", "b", "c", "a"]]);
}
