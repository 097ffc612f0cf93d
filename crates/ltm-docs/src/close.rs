//! How a socket can end.

use serde::Serialize;

/// A way in which a socket or a stream ends.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Close {
    /// The code: that of the close, or of the message or event `end`.
    pub code: u16,
    /// What it means.
    pub meaning: &'static str,
    /// What a client does.
    pub advice: &'static str,
}

const fn close(code: u16, meaning: &'static str, advice: &'static str) -> Close {
    Close {
        code,
        meaning,
        advice,
    }
}

const MEND: &str = "mend the client";
const AGAIN: &str = "connect again with the last cursor";
const STOP: &str = "stop";

/// Every code, as `docs/errors.md` has them.
pub const CLOSES: &[Close] = &[
    close(1000, "the client left, or said `unfollow`", STOP),
    close(
        1002,
        "what the client sent is not the WebSocket protocol",
        MEND,
    ),
    close(1007, "what the client sent is not UTF-8", MEND),
    close(
        1008,
        "the client sent too much text, or its token has expired or was not good; the reason says which",
        "do not send; connect again with a new token and the last cursor",
    ),
    close(
        1009,
        "the client sent a frame that is too big",
        "do not send",
    ),
    close(
        1011,
        "no state can be made of the log, or the client answered no ping",
        "connect again with the last cursor, with growing pauses",
    ),
    close(1012, "the gateway restarts", AGAIN),
    close(
        1013,
        "a limit is reached, or Redis does not answer",
        "wait, then connect again with the last cursor",
    ),
    close(
        4400,
        "`follow` or what stands beside it is wrong; the reason names the field",
        MEND,
    ),
    close(4404, "no such LTM", STOP),
    close(
        4409,
        "the log forked under a subscriber that asked for neither `after` nor `init`",
        "fetch the document, connect with its cursor",
    ),
    close(4410, "the LTM was deleted", STOP),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_documentation() {
        let page = include_str!("../../../docs/errors.md");
        for Close { code, .. } in CLOSES {
            assert!(
                page.contains(&code.to_string()),
                "docs/errors.md lacks {code}"
            );
        }
    }
}
