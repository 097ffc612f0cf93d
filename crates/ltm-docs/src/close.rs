//! The close codes of WebSockets, and of the message and the event `end`.

use serde::Serialize;

/// One close code.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Close {
    /// The code: of the close frame, or of the message or event `end`.
    pub code: u16,
    /// What it means.
    pub meaning: &'static str,
    /// What the client does.
    pub advice: &'static str,
}

const fn close(code: u16, meaning: &'static str, advice: &'static str) -> Close {
    Close {
        code,
        meaning,
        advice,
    }
}

const CORRECT: &str = "do not reconnect; correct the client";
const RECONNECT: &str = "reconnect with the last cursor";
const STOP: &str = "stop";

/// Every code. `docs/errors.md` has the same table.
pub const CLOSES: &[Close] = &[
    close(1000, "the client left, or sent `unfollow`", STOP),
    close(1002, "the client broke the WebSocket protocol", CORRECT),
    close(1007, "the client sent text that is not UTF-8", CORRECT),
    close(1008, "the client sent too much text", CORRECT),
    close(1009, "the client sent a frame that is too large", CORRECT),
    close(
        1011,
        "the log is damaged (an operator has to act), or the client answered no ping or read nothing",
        "reconnect with the last cursor, with growing pauses",
    ),
    close(1012, "the gateway restarts", RECONNECT),
    close(
        1013,
        "a limit is reached, or Redis is unavailable",
        "wait, then reconnect with the last cursor",
    ),
    close(
        4400,
        "a `follow` message is invalid; the reason names the field",
        "correct the client",
    ),
    close(
        4401,
        "the credential is missing, has expired, or was revoked",
        "get a new credential, then reconnect with the last cursor",
    ),
    close(
        4403,
        "the credential does not allow the client to follow this",
        "do not reconnect",
    ),
    close(4404, "the LTM does not exist", STOP),
    close(
        4409,
        "the log forked, and the client asked for neither `after` nor `init`",
        "fetch the document, then connect with its cursor",
    ),
    close(4410, "the LTM was deleted", STOP),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_its_advice_stand_in_the_documentation() {
        let page = include_str!("../../../docs/errors.md");
        for Close { code, advice, .. } in CLOSES {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| {code} |")));
            assert!(
                row.is_some_and(|row| row.ends_with(&format!("| {advice} |"))),
                "docs/errors.md does not say of {code}: {advice}"
            );
        }
    }
}
