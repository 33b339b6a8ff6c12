// SPDX-License-Identifier: Apache-2.0
// examples/training: what becomes of jobs, good and bad, when trainers are stopped, meet each other, or find something broken; and the quick
// form of its demo, in which trainers and servers are killed. It needs Debian's dataset-fashion-mnist.
'use strict'

const assert = require('assert')
const { spawn } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const readline = require('readline')
const { test, run } = require('../conformance/lib/tap')
const { Server, program } = require('../conformance/lib/server')
const { unique, until, within } = require('../conformance/lib/wait')
const { Driver } = require('./driver')

const build = process.env.BUILD || path.dirname(program)
const examples = path.join(build, 'examples/training')
const PATIENCE_MS = 90000
const PATIENT = { seconds: 170 }
const running = new Set()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })
let server, driver, root

/** A program of the example: its lines, what it says of errors, its end. */
class Program {
  constructor (command, args, options = {}) {
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    Object.assign(this, { lines: [], errors: '' })
    running.add(this.child)
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(line))
    this.child.stderr.setEncoding('utf8')
    this.child.stderr.on('data', (text) => { this.errors += text })
    this.ended = new Promise((resolve) => this.child.once('close', (code, signal) => resolve(code === null ? signal : code)))
    this.ended.then(() => running.delete(this.child))
  }

  end () { return within(this.ended, this.child.spawnfile, PATIENCE_MS) }
}

class Trainer extends Program {
  static start (t, place, options = {}) {
    const args = { name: unique('trainer'), models: place.models, channel: place.channel, servers: server.url, ...options }
    const trainer = new Trainer(path.join(examples, 'trainer'), Object.entries(args).flatMap(([key, value]) => [`--${key}`, String(value)]))
    t.after(() => trainer.stop())
    return trainer
  }

  events (...kinds) { return this.lines.map((line) => JSON.parse(line)).filter((event) => kinds.includes(event.event)) }
  async saw (kind, count = 1) {
    await until(() => this.events(kind).length >= count, `${count} times "${kind}"`, PATIENCE_MS)
    return this.events(kind).at(-1)
  }

  async stop () {
    await Promise.race([this.saw('ready'), this.ended]) // before, it does not know what to do with a signal
    this.child.kill('SIGTERM')
    assert.strictEqual(await this.end(), 0, this.errors)
  }
}

/** A channel of its own, and a folder for its models. */
async function place (t) {
  const client = await driver.connect(t, server)
  const one = { channel: unique('jobs'), models: fs.mkdtempSync(path.join(root, 'models-')) }
  one.publish = (job) => client.publish(one.channel, typeof job === 'string' ? job : JSON.stringify(job))
  one.file = (name) => path.join(one.models, name)
  one.files = () => fs.readdirSync(one.models).sort()
  one.page = async () => (await server.page(`/streaming/channelsz?channel=${one.channel}&subs=1`))
  return one
}

const job = (id, more = {}) => ({ id, tags: { a: [[0, 99]], b: [[100, 199]] }, epochs: 2, ...more })
/** One that takes a second or a few, and has many epochs. */
const long = (id) => job(id, { tags: { a: [[0, 499]], b: [[500, 999]] }, epochs: 60, hidden: 32, rate: 0.01 })
/** The weights in a model's file: what stands behind its head. */
function weights (file) {
  const bytes = fs.readFileSync(file)
  return bytes.subarray(16 + bytes.readUInt32LE(8), bytes.length - 4)
}

test('a job becomes a model, a report and lines of progress', PATIENT, async (t) => {
  const here = await place(t)
  const progress = unique('progress')
  const trainer = Trainer.start(t, here, { progress })
  await here.publish(job('one'))
  await trainer.saw('done')
  assert.deepStrictEqual(here.files(), ['one.json', 'one.model'])
  const report = JSON.parse(fs.readFileSync(here.file('one.json')))
  assert.deepStrictEqual(report.tags, ['a', 'b'])
  assert.deepStrictEqual([report.epochs, report.learned_images, report.checked_images, report.attempt, report.server], [2, 160, 40, 1, server.url])
  assert.ok(report.accuracy >= 0 && report.accuracy <= 1)
  assert.deepStrictEqual(trainer.events('ready', 'begun', 'epoch', 'done').map((event) => event.event), ['ready', 'begun', 'epoch', 'done'])
  const watch = await (await driver.connect(t, server)).subscribe(progress, { all: true })
  // What is published before a server is there may be published after what comes later.
  assert.deepStrictEqual((await watch.queue.take(4, PATIENCE_MS)).map((message) => message.data).sort(), trainer.lines.sort())
  const user = new Program(path.join(examples, 'classify'), [here.file('one.model'), '0', '9999'])
  assert.strictEqual(await user.end(), 0, user.errors)
  assert.deepStrictEqual(user.lines.map((line) => line.replace(/[ab] \(\d+%\)/, 'tag')), ['0: tag', '9999: tag'])
})

test('what is no job is dead with its reason, and the trainer goes on', PATIENT, async (t) => {
  const here = await place(t)
  const bad = ['', 'x', '[]'.repeat(1000), '['.repeat(100000), '{}', '{"id":"../x"}', job('a b'), job('one-tag', { tags: { a: [[0, 99]] } }),
    job('unknown-image', { tags: { a: [[0, 99]], b: [[59990, 60000]] } }), job('many', { epochs: 1e9 }), job('typing', { epoch: 5 })]
  for (const one of bad) await here.publish(one)
  await here.publish(job('good'))
  const trainer = Trainer.start(t, here)
  await trainer.saw('done')
  await trainer.saw('dead', bad.length)
  assert.deepStrictEqual(here.files(), ['good.json', 'good.model'])
  await until(async () => (await here.page()).consumers[0].dead === bad.length, 'the server counts them', PATIENCE_MS)
  assert.match(trainer.events('dead').map((event) => event.why).join('\n'), /no JSON.*"epoch"/s)
})

test('a job that comes twice, to two trainers at once, has one model', PATIENT, async (t) => {
  const here = await place(t)
  await here.publish('nothing, so that there is a channel')
  const trainers = [Trainer.start(t, here), Trainer.start(t, here)]
  await until(async () => (await here.page()).subs_count === 2, 'both are there', PATIENCE_MS)
  const twice = { ...long('twice'), epochs: 120 } // so long that they do meet
  await Promise.all([here.publish(twice), here.publish(twice)])
  await Promise.all(trainers.map((trainer) => trainer.saw('begun')))
  await Promise.all(trainers.map((trainer) => trainer.saw('done')))
  await until(async () => (await here.page()).backlog_msgs === 0, 'both are acknowledged', PATIENCE_MS)
  assert.deepStrictEqual(here.files(), ['twice.json', 'twice.model'])
  const [one, two] = trainers.map((trainer) => trainer.events('done')[0])
  assert.deepStrictEqual({ ...one, trainer: '' }, { ...two, trainer: '' })
  await here.publish(twice) // and later
  await until(() => trainers[0].events('done').length + trainers[1].events('done').length === 3, 'it is done a third time', PATIENCE_MS)
  assert.strictEqual(trainers[0].events('begun').length + trainers[1].events('begun').length, 2)
})

test('SIGTERM gives a job back uncounted; it goes on where it was, and ends with the same model', PATIENT, async (t) => {
  const here = await place(t)
  const undisturbed = await place(t)
  const first = Trainer.start(t, here, { checkpoint: 3600 })
  await here.publish(long('given'))
  await first.saw('epoch', 3)
  await first.stop()
  assert.deepStrictEqual([first.events('given_back').length, first.events('done').length], [1, 0])
  assert.deepStrictEqual(here.files(), ['given.checkpoint'])
  const second = Trainer.start(t, here)
  const done = await second.saw('done')
  const [resumed] = second.events('resumed')
  assert.ok(resumed.epoch >= 3, JSON.stringify(resumed))
  assert.deepStrictEqual([resumed.attempt, done.attempt], [1, 1])
  assert.deepStrictEqual(here.files(), ['given.json', 'given.model'])
  await undisturbed.publish(long('given'))
  await Trainer.start(t, undisturbed).saw('done')
  assert.ok(weights(here.file('given.model')).equals(weights(undisturbed.file('given.model'))))
})

test('a killed trainer loses no more than what was done since its checkpoint', PATIENT, async (t) => {
  const here = await place(t)
  const first = Trainer.start(t, here, { checkpoint: 0 })
  await here.publish(long('killed'))
  await first.saw('epoch', 3)
  first.child.kill('SIGKILL')
  await first.end()
  first.stop = () => {}
  if (fs.existsSync(here.file('killed.model'))) throw new Error('it was too fast: make the job longer')
  const second = Trainer.start(t, here)
  await second.saw('done')
  const [resumed] = second.events('resumed')
  assert.ok(resumed.epoch >= 2 && resumed.attempt === 2, JSON.stringify(resumed))
  assert.deepStrictEqual(here.files().filter((name) => !name.includes('.tmp.')), ['killed.json', 'killed.model'])
})

test('a checkpoint that is damaged is ignored', PATIENT, async (t) => {
  const here = await place(t)
  fs.writeFileSync(here.file('one.checkpoint'), 'WEIRTRN1 and then nothing of use')
  await here.publish(job('one'))
  const trainer = Trainer.start(t, here)
  await trainer.saw('done')
  assert.strictEqual(trainer.events('begun').length, 1)
  assert.deepStrictEqual(here.files(), ['one.json', 'one.model'])
})

test('what may go away is tried again, and counted', PATIENT, async (t) => {
  const here = await place(t)
  fs.mkdirSync(here.file('one.model')) // for a broken disk
  await here.publish(job('one'))
  const trainer = Trainer.start(t, here)
  const { why } = await trainer.saw('failed')
  assert.match(why, /one\.model/)
  fs.rmdirSync(here.file('one.model'))
  assert.ok((await trainer.saw('done')).attempt >= 2)
})

test('what fails too often is dead with the last reason', PATIENT, async (t) => {
  const here = await place(t)
  fs.mkdirSync(here.file('one.model'))
  await here.publish(job('one'))
  const trainer = Trainer.start(t, here, { max_attempts: 2 })
  await trainer.saw('failed')
  const dead = await trainer.saw('dead')
  assert.strictEqual(dead.attempt, 2)
  assert.match(dead.why, /one\.model/)
  assert.strictEqual(trainer.events('failed').length, 1)
})

test('a job keeps its trainer as long as that works on it', PATIENT, async (t) => {
  const here = await place(t)
  await here.publish(job('endless', { tags: { a: [[0, 4999]], b: [[5000, 9999]] }, epochs: 500, hidden: 256 }))
  Trainer.start(t, here, { ack_wait: 6 })
  const held = async () => {
    const { subscriptions = [] } = await server.page(`/streaming/channelsz?channel=${here.channel}&subs=1&held=1`)
    return subscriptions[0]?.held[0]
  }
  await until(held, 'it is held', PATIENCE_MS)
  const first = await held()
  let later
  await until(async () => {
    later = await held()
    return Date.parse(later?.until) - Date.parse(first.until) > 1000
  }, 'it is held for longer', PATIENCE_MS)
  assert.strictEqual(later.attempts, first.attempts)
})

test('another job with the id of one that has a model is dead', PATIENT, async (t) => {
  const here = await place(t)
  await here.publish(job('one'))
  const trainer = Trainer.start(t, here)
  await trainer.saw('done')
  const before = fs.readFileSync(here.file('one.model'))
  await here.publish(job('one', { epochs: 3 }))
  assert.match((await trainer.saw('dead')).why, /another job/)
  assert.ok(fs.readFileSync(here.file('one.model')).equals(before))
})

test('submit makes the same jobs from the same seed, which are stored once', PATIENT, async (t) => {
  const channel = unique('jobs')
  const submit = async (...args) => {
    const one = new Program(path.join(examples, 'submit'), ['--jobs', '3', '--images', '20-30', '--seed', '7', ...args])
    assert.strictEqual(await one.end(), 0, one.errors)
    return one.lines
  }
  const [first, second] = [await submit('--print'), await submit('--print')]
  assert.deepStrictEqual(first, second)
  assert.deepStrictEqual(first.map((line) => JSON.parse(line).id), ['job-7-01', 'job-7-02', 'job-7-03'])
  const sent = await submit('--servers', server.url, '--channel', channel)
  assert.match(sent[0], new RegExp(`^job-7-01: \\d+ tags, \\d+ images, \\d+ epochs, \\d+ hidden units, at ${server.url}$`))
  await submit('--servers', server.url, '--channel', channel)
  assert.strictEqual((await server.page(`/streaming/channelsz?channel=${channel}&subs=1`)).msgs, 3)
})

test('what is missing is named', PATIENT, async () => {
  for (const [name, ...args] of [['trainer', '--data', '/nowhere'], ['submit', '--data', '/nowhere', '--print'], ['classify', '--data', '/nowhere', 'x', '0']]) {
    const one = new Program(path.join(examples, name), args)
    assert.strictEqual(await one.end(), 1)
    assert.match(one.errors, /\/nowhere.*No such file.*dataset-fashion-mnist/)
  }
})

test('what was called wrongly is said', PATIENT, async () => {
  const file = path.join(root, 'no.model')
  fs.writeFileSync(file, 'x'.repeat(100))
  for (const [status, pattern, name, ...args] of [
    [1, /no file of weights/, 'classify', file, '0'],
    [2, /Usage/, 'classify', '--what', file, '0'],
    [2, /Usage/, 'classify', file],
    [2, /--ack_wait is a number/, 'trainer', '--ack_wait', 'soon'],
    [2, /Usage/, 'trainer', 'now'],
    [1, /server/, 'trainer', '--servers', ',', '--models', path.join(root, 'none')],
    [2, /Usage/, 'submit', '--tags', '1-3'],
    [2, /Usage/, 'submit', '--images', '9-5']
  ]) {
    const one = new Program(path.join(examples, name), args)
    assert.strictEqual(await one.end(), status, `${name} ${args}: ${one.errors}`)
    assert.match(one.errors, pattern)
  }
})

test('the demo: trainers and servers are killed, and each job has its model', { alone: true, seconds: 300 }, async () => {
  const directory = path.join(root, 'demo')
  const demo = new Program(path.join(__dirname, '../../examples/training/demo'), ['--quick', '--dir', directory], { env: { ...process.env, BUILD: build, WEIR: program } })
  const code = await within(demo.ended, 'the demo', 3 * PATIENCE_MS)
  const text = demo.lines.join('\n')
  assert.strictEqual(code, 0, `${demo.errors}\n${text}`)
  for (const pattern of [/trainer-\d killed at epoch/, /server-\d killed/, /8 jobs, 8 models, none lost, none twice/, /jobs pending, █/]) assert.match(text, pattern)
  const models = fs.readdirSync(path.join(directory, 'models')).filter((name) => name.endsWith('.model'))
  assert.strictEqual(models.length, 8)
  assert.match(text, /, then trainer-\d/) // the killed one's job went on elsewhere
  const picture = fs.readFileSync(path.join(directory, 'pending.svg'), 'utf8')
  assert.strictEqual((picture.match(/<polygon/g) || []).length, 6)
})

run({
  before: async () => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-training-'))
    server = await Server.start(['--disconnect_grace', '1s', '--log_bytes', '16M'], { http: true })
    driver = Driver.start()
  },
  after: async () => {
    await driver.stop()
    await server.stop()
    fs.rmSync(root, { recursive: true, force: true })
  }
})
