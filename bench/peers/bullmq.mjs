// Measures how soon an idle BullMQ worker starts a job:
//     node bullmq.mjs REDIS-HOST REDIS-PORT PAUSES
// PAUSES is a JSON array: the milliseconds to wait before each job. It prints the milliseconds from each call
// of `add` to the start of the processor, as a JSON array.
import { setTimeout as sleep } from "node:timers/promises";

import { Queue, Worker } from "bullmq";

const [host, port, pauses] = process.argv.slice(2);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const queue = new Queue("bench", { connection });
const starts = new Map();
const worker = new Worker("bench", async (job) => starts.set(job.data.number, performance.now()), { connection });
await worker.waitUntilReady();

const adds = [];
for (const [number, pause] of JSON.parse(pauses).entries()) {
  await sleep(pause);
  adds.push(performance.now());
  await queue.add("job", { number }, { removeOnComplete: true });
}
while (starts.size < adds.length) await sleep(10);
console.log(JSON.stringify(adds.map((added, number) => starts.get(number) - added)));
await worker.close();
await queue.close();
