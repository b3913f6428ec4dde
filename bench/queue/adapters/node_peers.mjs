// graphile-worker and pg-boss, through their public APIs; speaks as stopwatch.py says.
// node node_peers.mjs PEER MODE OPTIONS; the packages stand in BENCH_NODE_MODULES.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const MODULES = process.env.BENCH_NODE_MODULES;
const PAD = "x".repeat(200);
const [PEER, MODE, text] = process.argv.slice(2);
const options = JSON.parse(text);
const clock = () => (performance.timeOrigin + performance.now()) / 1000;
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const say = (answer) => console.log(JSON.stringify(answer));

async function load(name) {
  const require = createRequire(path.join(MODULES, "..", "any.js"));
  try {
    return await import(pathToFileURL(require.resolve(name)).href);
  } catch {
    // A package for `import` alone.
    const about = JSON.parse(fs.readFileSync(path.join(MODULES, name, "package.json")));
    let entry = about.exports?.["."] ?? about.main;
    while (typeof entry !== "string") entry = entry.import ?? entry.node ?? entry.default;
    return await import(pathToFileURL(path.join(MODULES, name, entry)).href);
  }
}

class Handled {
  count = 0;
  starts = [];
  ends = [];

  begun(id, submitted) {
    const now = clock();
    if (!this.count) console.log("S", now);
    this.count += 1;
    if (options.record) this.starts.push([String(id), submitted, now]);
  }

  ended(id) {
    if (options.record) this.ends.push([String(id), clock()]);
  }

  report() {
    let told = -1;
    setInterval(() => {
      if (this.count !== told) console.log("H", (told = this.count));
    }, 20);
    process.removeAllListeners("SIGTERM");
    process.on("SIGTERM", () => {
      const record = { starts: this.starts, ...(this.ends.length ? { ends: this.ends } : {}) };
      if (options.record) fs.writeFileSync(options.record, JSON.stringify(record));
      process.exit(0);
    });
    console.log("READY");
  }
}

function quantiles(took) {
  took.sort((a, b) => a - b);
  return { p50: took[took.length >> 1], p99: took[Math.floor(took.length * 0.99)] };
}

const cpu = (since) => {
  const used = process.cpuUsage(since);
  return (used.user + used.system) / 1e6;
};

async function throughput(submit, submitMany) {
  const { callers = 1, batch = 1 } = options;
  const calls = Math.max(Math.floor(options.jobs / callers / batch), 1);
  const took = [];
  const before = process.cpuUsage();
  const begun = performance.now();
  const caller = async () => {
    for (let i = 0; i < calls; i++) {
      const asked = performance.now();
      await (batch === 1 ? submit(clock()) : submitMany(Array(batch).fill(clock())));
      took.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const jobs = calls * callers * batch;
  say({ jobs, rate: jobs / ((performance.now() - begun) / 1000), cpu: cpu(before), ...quantiles(took) });
}

async function paced(submit) {
  const jobs = Math.floor(options.rate * options.seconds);
  const took = [];
  const all = [];
  let underWay = 0;
  const before = process.cpuUsage();
  const begun = performance.now();
  for (let i = 0; i < jobs; i++) {
    const wait = begun + (i * 1000) / options.rate - performance.now();
    if (wait > 1) await sleep(wait / 1000);
    while (underWay >= 64) await sleep(0.001);
    underWay += 1;
    const asked = performance.now();
    all.push(
      submit(clock()).then(() => {
        underWay -= 1;
        took.push(performance.now() - asked);
      }),
    );
  }
  await Promise.all(all);
  say({ jobs, cpu: cpu(before), ...quantiles(took) });
}

async function graphile() {
  const { Logger, makeWorkerUtils, run } = await load("graphile-worker");
  const logger = new Logger(() => () => {});
  if (MODE !== "work") {
    const utils = await makeWorkerUtils({ connectionString: options.url, maxPoolSize: 20, logger });
    const submit = (t) => utils.addJob("noop", { t, pad: PAD });
    const submitMany = (times) => utils.addJobs(times.map((t) => ({ identifier: "noop", payload: { t, pad: PAD } })));
    if (MODE === "install") await utils.migrate();
    if (MODE === "enqueue") await throughput(submit, submitMany);
    if (MODE === "produce") await paced(submit);
    await utils.release();
    return;
  }
  const handled = new Handled();
  const concurrency = options.fast ? 24 : 1;
  const worker = {
    connectionString: options.url,
    concurrentJobs: concurrency,
    maxPoolSize: Math.max(10, concurrency + 2),
    logger,
    preparedStatements: true,
  };
  if (options.fast) Object.assign(worker, { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 });
  const noop = async (payload, helpers) => {
    handled.begun(helpers.job.id, payload.t);
    if (options.sleep) await sleep(options.sleep);
  };
  const runner = await run({ preset: { worker }, noHandleSignals: true, taskList: { noop } });
  runner.events.on("job:complete", ({ job }) => handled.ended(job.id));
  handled.report();
}

async function pgboss() {
  const module = await load("pg-boss");
  const PgBoss = module.PgBoss ?? module.default;
  const works = MODE === "work";
  const boss = new PgBoss({
    connectionString: options.url,
    max: 20,
    useListenNotify: works,
    supervise: works,
    schedule: false,
  });
  boss.on("error", (error) => console.error(String(error)));
  await boss.start();
  const submit = (t) => boss.send("noop", { t, pad: PAD });
  const submitMany = (times) => boss.insert("noop", times.map((t) => ({ data: { t, pad: PAD } })));
  if (MODE === "install") await boss.createQueue("noop", { notify: true });
  if (MODE === "enqueue") await throughput(submit, submitMany);
  if (MODE === "produce") await paced(submit);
  if (!works) {
    await boss.stop({ graceful: false });
    process.exit(0);
  }
  const handled = new Handled();
  const how = options.fast ? { batchSize: 500, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 } : {};
  await boss.work("noop", how, async (jobs) => {
    for (const job of jobs) {
      handled.begun(job.id, job.data.t);
      if (options.sleep) await sleep(options.sleep);
    }
  });
  handled.report();
}

await (PEER === "graphile" ? graphile() : pgboss());
