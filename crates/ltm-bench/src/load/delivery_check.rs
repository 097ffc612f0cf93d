//! Checks that messages arrive completely and in order.

/// The order in which the messages of one subscriber must arrive.
#[derive(Clone, Debug)]
pub(crate) enum DeliveryCheck {
    /// Entries of a log, which the service numbers: each arrives right after the one before it.
    Log {
        /// The number of the last entry that the subscriber has.
        last: u64,
    },
    /// Messages that each producer numbers from 1: those of one producer arrive in order.
    Producers {
        /// The number of the last message of each producer.
        last: Vec<u64>,
        /// Whether a repeated message is only counted. The peer repeats messages now and then; it does not
        /// promise otherwise.
        doubles: bool,
    },
}

/// The place of a message in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The next message.
    Next,
    /// The previous message again.
    Double,
}

impl DeliveryCheck {
    /// Takes message `number` of a producer. The error is the number of the message before it, which does not fit.
    pub(crate) fn take(&mut self, number: u64, producer: usize) -> Result<Delivery, u64> {
        let (last, doubles) = match self {
            Self::Log { last } => (last, false),
            Self::Producers { last, doubles } => {
                if last.len() <= producer {
                    last.resize(producer + 1, 0);
                }
                (&mut last[producer], *doubles)
            }
        };
        if number == *last + 1 {
            *last = number;
            return Ok(Delivery::Next);
        }
        if number == *last && doubles {
            return Ok(Delivery::Double);
        }
        Err(*last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_seen_entry_by_entry() {
        let mut order = DeliveryCheck::Log { last: 7 };
        assert_eq!(order.take(8, 3), Ok(Delivery::Next));
        assert_eq!(order.take(8, 3), Err(8));
        assert_eq!(order.take(10, 3), Err(8));
    }

    #[test]
    fn each_producer_has_an_order_of_its_own_and_only_a_peer_may_double() {
        for doubles in [true, false] {
            let last = Vec::new();
            let mut order = DeliveryCheck::Producers { last, doubles };
            assert_eq!(order.take(1, 1), Ok(Delivery::Next));
            assert_eq!(order.take(1, 0), Ok(Delivery::Next));
            assert_eq!(order.take(2, 1), Ok(Delivery::Next));
            let double = if doubles {
                Ok(Delivery::Double)
            } else {
                Err(2)
            };
            assert_eq!(order.take(2, 1), double);
            assert_eq!(order.take(1, 1), Err(2));
            assert_eq!(order.take(3, 0), Err(1));
        }
    }
}
