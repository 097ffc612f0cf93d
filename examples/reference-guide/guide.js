// The JavaScript of Flou's WebSocket guide, run against this service.
//
// These typos of the guide are fixed:
//   - `getLtm` was never called; here it is called before the socket opens, because the socket needs `ltm`
//   - `data.json()`: the variable is `response`, and `json()` returns a promise, so `await`
//   - `JSON.parse(event.data.detail)`: the text of a message is `event.data`
//   - `for (snapshot in …)` iterates over indices: `of`; and modules are strict: `const`
//   - the loop had no closing brace
//
// The page takes the LTM and the server from its address. The guide does not have the parts marked "added".

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

    // added: the guide handles only snapshots. A rollback names the last index that is kept, or null if it undoes another
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
