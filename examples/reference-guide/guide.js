// The JavaScript of the WebSocket guide of Flou's documentation, against this service.
//
// Its typing mistakes, mended:
//   - `getLtm` was never called; here it is, before the socket is opened, which needs `ltm`
//   - `data.json()`: there is no `data`, it is `response`; and `json()` gives a promise, so `await`
//   - `JSON.parse(event.data.detail)`: the text of a message is `event.data`
//   - `for (snapshot in …)` goes through indices: `of`; and `const`, for modules are strict
//   - the loop had no closing brace
//
// Besides, which LTM and which server are taken from the page's address, and what is marked "added" is not in the guide.

const query = new URLSearchParams(location.search);
const ltmId = query.get('ltm') ?? 1;
const server = query.get('server') ?? 'localhost:8000';

// get the LTM initial state
const ltmUrl = `http://${server}/api/v0/ltm/${ltmId}`;

let ltm;

let getLtm = async () => {
    await fetch(ltmUrl)
        .then(async (response) => {
            ltm = await response.json();
        })
        .catch((error) => {
            console.log(error);
        });
};

await getLtm();

// connect to the websocket to receive updates
const socket = new WebSocket(`ws://${server}/ws/${ltmId}`);

socket.onopen = () => {
    console.log("WebSocket connection established");
    document.getElementById('connected').textContent = 'connected';  // added
};

socket.onmessage = async (event) => {
    const data = JSON.parse(event.data);

    // added: the guide knows snapshots only. A rollback names the last index that is kept, or null where one is undone
    if (!data.snapshot) {
        if (data.snapshot_index === null) {
            await getLtm();
        } else if (data.snapshot_index !== undefined) {
            ltm = { ...ltm, snapshots: ltm.snapshots.slice(0, data.snapshot_index + 1) };
        }
        show();
        return;
    }

    // append the new snapshot to the ltm data
    ltm = { ...ltm, snapshots: [...ltm.snapshots, data.snapshot] };

    let time = data.snapshot['time'];  // the server time at which the snapshot was taken
    let reason = data.snapshot['reason'];  // the reason for the snapshot
    let item = data.snapshot['item'];  // the details of the snapshot

    // added
    show();
};

socket.onclose = () => {
    console.log("WebSocket connection closed");
    document.getElementById('connected').textContent = '';  // added
};

let recreateState = () => {
    let state = {};
    for (const snapshot of ltm.snapshots) {
        jsonpatch.applyPatch(state, jsonpatch.deepClone(snapshot['patch']));
    }
    return state;
};

// added
function show() {
    document.getElementById('state').textContent = JSON.stringify(recreateState(), null, 2);
    document.getElementById('count').textContent = ltm.snapshots.length;
}
show();
