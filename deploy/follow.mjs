import jsonpatch from 'fast-json-patch';

const ltmId = 123;
const server = '127.0.0.1:8000';

let ltm;

const getLtm = async () => {
    const response = await fetch(`http://${server}/api/v0/ltm/${ltmId}`);
    ltm = await response.json();
};

// start at the document's cursor, so that no entry is missed between the two requests
const connect = () => {
    const socket = new WebSocket(`ws://${server}/ws/${ltmId}?after=${ltm.cursor}`);

    socket.onmessage = async (event) => {
        const data = JSON.parse(event.data);

        if (data.snapshot) {
            // append the new snapshot to the document
            ltm = { ...ltm, cursor: data.cursor, snapshots: [...ltm.snapshots, data.snapshot] };
            console.log(data.snapshot.time, data.snapshot.reason, recreateState());
        } else if (data.rollback || data.reset) {
            // the history has changed: load the document again
            socket.close();
            await getLtm();
            connect();
        }
    };

    socket.onclose = ({ code }) => console.log('WebSocket connection closed', code);
};

const recreateState = () => {
    let state = {};
    for (const snapshot of ltm.snapshots) {
        state = jsonpatch.applyPatch(state, jsonpatch.deepClone(snapshot.patch)).newDocument;
    }
    return state;
};

await getLtm();
connect();
