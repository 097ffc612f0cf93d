//! The end-to-end tests: one binary, a folder per topic, a module per promise.
//!
//! `cargo test --test it` runs all of them, `cargo test --test it resume::` one module. CONTRIBUTING.md says more.

#![allow(clippy::unwrap_used, clippy::expect_used)]

/// What each call of the HTTP API does.
mod http_api {
    mod api;
    mod api_limits;
    mod append;
    mod batches;
    mod head;
    mod history;
    mod history_model;
    mod ids;
    mod json_patch_suite;
    mod replay;
    mod shared_documents;
    mod wait;
    mod write_headers;
    mod wrong_bodies;
}

/// Answers and requests that are compressed.
mod compression {
    mod answers;
    mod frames;
    mod requests;
}

/// The lists of LTMs: filters, numbers, and the index behind them.
mod lists {
    mod command;
    mod counts;
    mod filters;
    mod index;
    mod live;
}

/// What a subscriber receives, over WebSocket and Server-Sent Events.
mod gateway {
    mod agui;
    mod agui_recorded;
    mod endings;
    mod follow;
    mod follow_parameters;
    mod gateway_limits;
    mod list_feed;
    mod lost_tails;
    mod many;
    mod resume;
    mod slow_subscribers;
    mod sse;
    mod websocket;
}

/// LTMs that engines name by class and key.
mod keys;

/// AG-UI: agents that are recorded.
mod agui {
    mod record;
    mod record_access;
    mod record_faults;
    mod record_limits;
    mod record_pages;
    mod recorder;
}

/// Credentials, Redis users and TLS.
mod access {
    mod acl;
    mod auth;
    mod pages;
    mod tls;
}

/// What happens to Redis, and how the services find out.
mod redis {
    mod archive;
    mod backup;
    mod clock;
    mod cluster;
    mod cluster_chaos;
    mod databases;
    mod faults;
    mod full;
    mod inspection;
    mod own_writes;
    mod releases;
    mod replicas;
    mod sentinel;
}

/// The command `ltm`, the Rust client, the inspector and the benchmark.
mod clients {
    mod bench;
    mod bridge;
    mod cli;
    mod client;
    mod exit_codes;
    mod export;
    mod import;
    mod inspector;
    mod top;
    mod verify;
}

/// What an operator relies on: settings, metrics, traces, load balancing and rolling updates.
mod operations {
    mod balance;
    mod by_hand;
    mod http_limits;
    mod metrics;
    mod program;
    mod rolling;
    mod tracing;
}

/// Input that is malformed, malicious, or known to have broken other systems.
mod hostile {
    mod attack;
    mod fuzz_corpus;
    mod hostile_http;
    mod hostile_json;
    mod hostile_log;
    mod mistakes;
    mod slow_readers;
}

/// Every command of every page, and the descriptions of the interfaces.
mod documentation {
    mod cli_page;
    mod docs;
    mod formats;
    mod guides;
    mod settings_page;
}

/// Producers, followers and random faults at the same time.
mod chaos;

/// The rules that the sources keep: what depends on what, and how much lies in one place.
mod house {
    mod dependencies;
    mod examples;
    mod imports;
    mod sizes;
    mod sources;
    mod tokens;
}
