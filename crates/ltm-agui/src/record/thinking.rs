//! `THINKING_…` events: the older form of reasoning, without ids. `@ag-ui/client` 1.0.0 translates them in the same way.

use super::event::Event;

/// What is open of the reasoning that an event continues.
pub(super) enum Continues {
    /// It begins something.
    Nothing,
    /// The text of a reasoning.
    Text,
    /// A whole reasoning.
    Span,
}

/// The type that an event of the older form has today, and what it continues. `None` if it has another form.
pub(super) fn reasoning(kind: &str) -> Option<(&'static str, Continues)> {
    Some(match kind {
        "THINKING_START" => ("REASONING_START", Continues::Nothing),
        "THINKING_TEXT_MESSAGE_START" => ("REASONING_MESSAGE_START", Continues::Nothing),
        "THINKING_TEXT_MESSAGE_CONTENT" => ("REASONING_MESSAGE_CONTENT", Continues::Text),
        "THINKING_TEXT_MESSAGE_END" => ("REASONING_MESSAGE_END", Continues::Text),
        "THINKING_END" => ("REASONING_END", Continues::Span),
        _ => return None,
    })
}

/// The event as reasoning with this id.
pub(super) fn with_id(mut event: Event, kind: &str, id: &str) -> Event {
    event.set("type", kind);
    event.set("messageId", id);
    match kind {
        // Reasoning has no title.
        "REASONING_START" => drop(event.take("title")),
        "REASONING_MESSAGE_START" => event.set("role", "reasoning"),
        _ => {}
    }
    event
}
