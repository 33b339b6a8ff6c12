// SPDX-License-Identifier: Apache-2.0
// Who works in the fleet's chaos: consumers through libweir, and `weir work` with a real command; and who enqueues with `weir enqueue`. Each is a
// process of its own, which can be killed, paused and told to stop.
'use strict'

const { spawn } = require('child_process')
const fs = require('fs')
const os = require('os')
const path = require('path')
const { program } = require('../conformance/lib/server')
const { until, within } = require('../conformance/lib/wait')
const { Driver } = require('../client/driver')
const { now } = require('./chaos_common')

const clientProgram = process.env.CLIENT_WEIR || program // another build than that of the servers
const ACK_WAIT_S = 3
const STOP_MS = 40000
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const running = new Set()
// Not within a server's directory: what commands still write there could keep it from being removed.
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-crew-'))
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  try { fs.rmSync(scratch, { recursive: true, force: true }) } catch (error) { console.error(error.message) }
})

/** A process of `weir`; `ended` is its exit code or signal, `log` what it wrote. */
function start (words) {
  const child = spawn(clientProgram, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  const one = { child, log: '', output: '' }
  child.stdout.on('data', (text) => { one.output += text })
  child.stderr.on('data', (text) => { one.log += text })
  child.stdin.on('error', () => {})
  running.add(child)
  one.ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code === null ? signal : code)))
  one.ended.then(() => running.delete(child))
  return one
}

/** A member of group `workers` of a channel, at all servers. What it has finished goes to `finished` before it is acknowledged. */
class LibraryWorker {
  static async start (servers, channel, finished, chance) {
    const worker = new LibraryWorker()
    Object.assign(worker, { finished, chance, deliveries: 0, dead: false, driver: Driver.start() })
    worker.fleet = await worker.driver.fleet({ after () {} }, servers, {})
    const options = { group: 'workers', durable: 'd', manual: true, all: true, ack_wait_ms: ACK_WAIT_S * 1000 }
    worker.sub = await worker.fleet.subscribe(channel, options)
    worker.sub.queue.push = (message) => { worker.take(message) }
    for (const message of worker.sub.queue.items.splice(0)) worker.take(message)
    return worker
  }

  get child () { return this.driver.child }

  async take (message) {
    this.deliveries++
    await pause(this.chance() * 20)
    if (this.dead) return // with its process
    this.finished.add(message.data)
    message.ack().catch(() => {}) // then it comes again
  }

  async kill () {
    this.dead = true
    this.child.kill('SIGKILL')
    await this.driver.ended
  }

  /** In order; leaks are an error. */
  async stop () {
    await this.sub.do('stop')
    this.dead = true
    await this.sub.do('nak_all', { uncounted: true })
    await this.fleet.free()
    await this.driver.stop()
  }
}

/** `weir work` of a channel at all servers, group `workers`, with more `flags`; `command` is a script for the shell. */
class CommandWorker {
  static async start (servers, channel, flags, command) {
    const worker = new CommandWorker()
    const words = ['work', channel, '--group', 'workers', '--servers', servers.map((one) => one.url).join(','), '--log_format', 'json', '-q', ...flags]
    worker.process = start([...words, '--', '/bin/sh', '-c', command])
    await until(() => worker.process.log !== '', 'a worker says something', STOP_MS) // before that it knows of no signals
    return worker
  }

  /** Waits until it is connected to so many servers. */
  connected (count) {
    return until(() => this.process.log.split('"connected"').length > count, 'a worker is connected', STOP_MS)
  }

  get child () { return this.process.child }

  async kill () {
    if (this.child.exitCode !== null) throw new Error(`a worker has ended by itself with ${this.child.exitCode}:\n${this.process.log}`)
    this.child.kill('SIGKILL')
    await this.process.ended
  }

  async stop () {
    this.child.kill('SIGTERM')
    const code = await within(this.process.ended, 'a worker stops', STOP_MS)
    if (code !== 0) throw new Error(`a worker ended with ${code}:\n${this.process.log}`)
  }
}

// Payloads are `ID SECONDS ok|fail`. A line when it begins, another one when it ends; what is to fail does so in its first attempt.
const command = (journal) => `
read -r id seconds how
echo "begin $id" >>'${journal}'
sleep "$seconds"
test "$how$WEIR_ATTEMPT" != fail1 || exit 1
echo "end $id" >>'${journal}'
`

/** A worker whose commands keep a journal. */
function journalWorker (servers, channel, journal, chance) {
  const flags = ['-j', '3', '--max_attempts', '0', '--ack_wait', `${ACK_WAIT_S}s`, '--backoff', '100ms', '--grace', chance() < 0.5 ? '0s' : '500ms']
  return CommandWorker.start(servers, channel, flags, command(journal))
}

/** What the commands wrote: { begun, ended }, lists of ids in their order. */
function readJournal (journal) {
  const lines = fs.existsSync(journal) ? fs.readFileSync(journal, 'utf8').split('\n').map((line) => line.split(' ')) : []
  const ids = (word) => lines.filter(([first]) => first === word).map(([, id]) => id)
  return { begun: ids('begin'), ended: ids('end') }
}

/** One call of `weir enqueue`, which gets a line every `gapMs`: how it ended, { stored, begin, end, error }. */
async function enqueue (servers, channel, lines, gapMs, deadlineMs) {
  const begin = now()
  const call = start(['enqueue', '--servers', servers.map((one) => one.url).join(','), '--deadline', `${deadlineMs}ms`, '--lines', '--json', channel])
  for (const line of lines) {
    call.child.stdin.write(line + '\n')
    await pause(gapMs)
  }
  call.child.stdin.end()
  const code = await call.ended
  if (code !== 0 && code !== 1) throw new Error(`weir enqueue ended with ${code}:\n${call.log}`)
  return { begin, end: now(), stored: JSON.parse(call.output).stored, error: code ? call.log.trim() : undefined }
}

/** Something happens to one of `workers`: kill -9, a pause, or a stop; a new one takes its place, of `make()`. */
async function disturb (workers, index, how, pauseMs, make) {
  const old = workers[index]
  if (how === 'pause') {
    old.child.kill('SIGSTOP')
    await pause(pauseMs)
    old.child.kill('SIGCONT')
  } else {
    await (how === 'kill' ? old.kill() : old.stop())
    workers[index] = await make()
  }
}

module.exports = { scratch, LibraryWorker, CommandWorker, journalWorker, enqueue, readJournal, disturb, pause }
