//! The model: a setup, and the code that every node runs, as it is or broken.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::node::{Attempt, Node};
use crate::request::{Call, Lack, Reply, Request, Sealed};
use crate::setup::{Flaw, Setup};
use crate::tokens::{Token, Tokens};
use crate::world::World;

pub struct Deployment {
    pub setup: Setup,
    pub start: World,
    node: Node,
    outlooks: Mutex<HashMap<(Sealed, Tokens, u8), Outlook>>,
}

/// What would come of every request that anybody could make in a state.
#[derive(Clone, Copy, Default)]
pub struct Outlook {
    /// The tokens that would be rotated.
    pub rotated: Tokens,
    /// The successors that would be handed out again.
    pub repeated: Tokens,
    /// The tokens whose access token would pass a live check.
    pub live: Tokens,
    /// A request that lacks something and would get through.
    pub intrusion: Option<Request>,
}

impl Deployment {
    pub fn new(setup: Setup) -> Self {
        let (node, record, code) = Node::new(&setup);
        Self { setup, start: World::new(record, code), node, outlooks: Mutex::default() }
    }

    /// What the code decides on what it has loaded, or a broken version of it.
    pub fn attempt(&self, loaded: Sealed, request: Request, now: u8) -> Attempt {
        self.look_again(loaded, loaded, request, now)
    }

    /// The same, where a second look at the store finds `current`.
    pub fn look_again(&self, loaded: Sealed, current: Sealed, request: Request, now: u8) -> Attempt {
        let attempt = |request| self.node.attempt(loaded, current, request, now);
        match (self.setup.flaw, attempt(request)) {
            (Some(Flaw::Ignores(lack)), _) if request.lack == Some(lack) => attempt(Request { lack: None, ..request }),
            (Some(Flaw::FreshSuccessor), Attempt { reply: Reply::Tokens { refresh, retry: true }, .. }) => {
                attempt(Request { token: refresh, ..request })
            }
            (_, attempt) => attempt,
        }
    }

    pub fn outlook(&self, World { store, minted, now, .. }: &World) -> Outlook {
        let mut outlooks = self.outlooks.lock().unwrap();
        *outlooks.entry((*store, *minted, *now)).or_insert_with(|| self.look(*store, *minted, *now))
    }

    fn look(&self, store: Sealed, minted: Tokens, now: u8) -> Outlook {
        let mut outlook = Outlook::default();
        for (token, call) in minted.iter().flat_map(|token| Call::ALL.map(|call| (token, call))) {
            // No access token comes with a code.
            if token.is_code() && call == Call::Live || call == Call::Straggle {
                continue;
            }
            match self.attempt(store, Request::whole(call, token), now).reply {
                Reply::Tokens { retry: false, .. } => outlook.rotated.insert(token),
                Reply::Tokens { retry: true, refresh } => outlook.repeated.insert(refresh),
                Reply::Live => outlook.live.insert(token),
                Reply::Nothing => {}
            }
            let mut lacking = self.lacks(call, token).map(|lack| Request { call, token, lack: Some(lack) });
            outlook.intrusion = outlook.intrusion.or(lacking.find(|request| {
                let Attempt { write, reply } = self.attempt(store, *request, now);
                write.is_some() || reply != Reply::Nothing
            }));
        }
        outlook
    }

    /// What a call with this token could lack.
    fn lacks(&self, call: Call, token: Token) -> impl Iterator<Item = Lack> {
        let bound = self.setup.bound;
        [
            (Lack::Guard, true),
            (Lack::Mac, true),
            (Lack::Client, call != Call::Live),
            (Lack::Verifier, call == Call::Exchange && token.is_code()),
            (Lack::Proof, bound),
            (Lack::Key, bound),
        ]
        .into_iter()
        .filter_map(|(lack, applies)| applies.then_some(lack))
    }
}
