// SPDX-License-Identifier: Apache-2.0
// A server of its own for a suite or a test: $WEIR on a free port of 127.0.0.1, with a data directory under the system's
// temporary files. With WEIR=/usr/sbin/nats-server the core suites run against the server whose behaviour they demand.
'use strict'

const { spawn } = require('child_process')
const fs = require('fs')
const http = require('http')
const os = require('os')
const path = require('path')
const { until, within } = require('./wait')

const program = process.env.WEIR || path.join(__dirname, '../../../build-debug/weir')
const isPeer = path.basename(program) === 'nats-server'
const threads = process.env.WEIR_THREADS || '1' // of every server started here
const running = new Set()

// Whatever happens to this process, the servers it started end with it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(1))
process.on('exit', () => {
  for (const server of running) {
    server.child.kill('SIGKILL')
    fs.rmSync(server.directory, { recursive: true, force: true })
  }
})

class Server {
  /**
   * Starts one and waits until it is ready. `flags` are its flags besides the usual ones; `http`: with a monitoring port; `program`: not $WEIR;
   * `prepare`: called with the path of its data directory before it starts; `port`: not a free one.
   */
  static async start (flags = [], { http = false, program: chosen = program, prepare = () => {}, port = -1 } = {}) {
    const server = new Server()
    server.program = chosen
    server.isPeer = path.basename(chosen) === 'nats-server'
    server.flags = flags
    server.http = http
    server.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-conformance-'))
    server.port = port
    server.httpPort = http ? -1 : 0
    await prepare(path.join(server.directory, 'data'))
    await server.launch()
    return server
  }

  get url () { return `nats://127.0.0.1:${this.port}` }

  async launch () {
    const flags = ['-a', '127.0.0.1', '-p', String(this.port), ...this.flags]
    if (this.http) flags.push('-m', String(this.httpPort))
    if (!this.isPeer) flags.unshift('serve', '--dir', path.join(this.directory, 'data'), '--threads', threads)
    this.log = ''
    this.child = spawn(this.program, flags, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.child.stderr.setEncoding('utf8')
    this.child.stderr.on('data', (text) => { this.log += text })
    this.ended = new Promise((resolve) => this.child.once('close', (code, signal) => resolve({ code, signal })))
    this.ended.then(() => running.delete(this))
    this.child.once('error', (error) => { this.log += `${this.program}: ${error.message}` })
    running.add(this)
    const early = this.ended.then(() => { throw new Error(`${this.program} ${flags.join(' ')} ended:\n${this.log}`) })
    early.catch(() => {}) // one that ends later is no surprise
    await Promise.race([this.logged(this.isPeer ? /Server is ready/ : /Ready for clients/), early])
    const listening = /(?:Ready for clients|Listening for client connections) on [\d.]+:(\d+)/.exec(this.log)
    this.port = listening ? Number(listening[1]) : 0 // with -ns clients connect elsewhere
    if (this.http) this.httpPort = Number(/monitor(?:ing)? on (?:http:\/\/)?[\d.]+:(\d+)/i.exec(this.log)[1])
  }

  /** Waits until the log has a match. */
  logged (pattern, ms = 30000) {
    return until(() => pattern.test(this.log), `the server's log says ${pattern}`, ms)
  }

  /** Ends it as a service manager does; anything but exit code 0 (a sanitizer's complaint, a crash) is an error. */
  async stop () {
    if (running.has(this)) {
      this.child.kill('SIGTERM')
      const { code, signal } = await within(this.ended, 'the server stops', 20000)
      const forced = this.isPeer && code === 1 // nats-server's way of ending
      if (code !== 0 && !forced) throw new Error(`the server ended with ${code === null ? signal : code}:\n${this.log}`)
    }
    fs.rmSync(this.directory, { recursive: true, force: true })
  }

  /** Ends it, by default in the hardest way, and starts it again on the same port and data. */
  async restart (signal = 'SIGKILL') {
    if (!running.has(this)) throw new Error(`the server has ended by itself:\n${this.log}`)
    this.child.kill(signal)
    const ended = await within(this.ended, 'the server stops', 20000)
    if (signal !== 'SIGKILL' && ended.code !== 0) throw new Error(`the server ended with ${ended.code}:\n${this.log}`)
    await this.launch()
  }

  /** A page of the monitoring port, parsed. */
  page (name) {
    return within(new Promise((resolve, reject) => {
      http.get({ host: '127.0.0.1', port: this.httpPort, path: name, agent: false }, (response) => {
        let text = ''
        response.on('data', (data) => { text += data })
        response.on('end', () => resolve(JSON.parse(text)))
      }).on('error', reject)
    }), `GET ${name}`)
  }
}

module.exports = { Server, program, isPeer }
