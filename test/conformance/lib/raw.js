// SPDX-License-Identifier: Apache-2.0
// A bare socket that speaks the NATS protocol line by line, for what no client library shows: exact bytes, errors, bad input.
'use strict'

const net = require('net')
const { Queue, within } = require('./wait')

class Raw {
  /** Connects and takes the INFO line. */
  static async open (server) {
    const raw = new Raw()
    raw.socket = net.connect(server.port, '127.0.0.1')
    raw.socket.setNoDelay(true)
    raw.buffer = Buffer.alloc(0)
    raw.frames = new Queue('a line from the server')
    raw.closed = new Promise((resolve) => raw.socket.once('close', resolve))
    raw.socket.on('error', () => {}) // a reset is a close to these tests
    raw.socket.on('data', (data) => raw.onData(data))
    const line = await raw.frames.next()
    if (!line.startsWith('INFO ')) throw new Error(`no INFO but ${line}`)
    raw.infoLine = line
    raw.info = JSON.parse(line.slice(5))
    return raw
  }

  /** Connects with the options of CONNECT over quiet ones. */
  static async connect (server, options = {}) {
    const raw = await Raw.open(server)
    raw.send('CONNECT ' + JSON.stringify({ verbose: false, pedantic: false, headers: true, no_responders: true, protocol: 1, ...options }) + '\r\n')
    return raw
  }

  send (data) { this.socket.write(data) }

  /** The next line without its end; a MSG or HMSG comes with its payload: "MSG a 1 2\r\nhi". */
  line (ms) { return this.frames.next(ms) }

  /** Everything until the PONG to a PING sent now, but the server's own pings. */
  async flush () {
    this.send('PING\r\n')
    const lines = []
    for (;;) {
      const line = await this.line()
      if (line === 'PONG') return lines
      if (line !== 'PING') lines.push(line)
    }
  }

  /** Waits until the server has closed the connection; gives the lines that were not read before. */
  async end (ms) {
    await within(this.closed, 'the server closes the connection', ms)
    return this.frames.items.splice(0)
  }

  /** Without saying goodbye. */
  destroy () { this.socket.destroy() }

  onData (data) {
    this.buffer = this.buffer.length ? Buffer.concat([this.buffer, data]) : data
    for (;;) {
      const end = this.buffer.indexOf('\r\n')
      if (end < 0) return
      const line = this.buffer.toString('latin1', 0, end)
      const sized = /^H?MSG .* (\d+)$/.exec(line)
      const size = sized ? end + 2 + Number(sized[1]) + 2 : end + 2
      if (this.buffer.length < size) return
      this.frames.push(this.buffer.toString('latin1', 0, size - 2))
      this.buffer = this.buffer.subarray(size)
    }
  }
}

module.exports = { Raw }
