// SPDX-License-Identifier: Apache-2.0
// What the server said of itself since this page was opened: points in time, and rates between them.

const POINTS_MAX = 600 // 20 minutes, one each two seconds

export class History {
  constructor () {
    this.times = []
    this.infos = []
    this.rates = { published: [], delivered: [], acked: [] }
    this.waiting = []
    this.inFlight = []
    this.bytes = []
  }

  add (info) {
    const at = Date.now() / 1000
    const before = this.infos[this.infos.length - 1]
    const seconds = before ? at - this.times[this.times.length - 1] : 0
    // A server that was started anew counts from 0.
    const same = before && before.start === info.start && seconds > 0
    for (const name of Object.keys(this.rates)) {
      this.rates[name].push(same ? Math.max(0, (info.totals[name] - before.totals[name]) / seconds) : null)
    }
    this.times.push(at)
    this.infos.push(info)
    this.waiting.push(info.totals.waiting.messages)
    this.inFlight.push(info.totals.in_flight.messages)
    this.bytes.push(info.totals.waiting.bytes + info.totals.in_flight.bytes)
    const lists = [this.times, this.infos, this.waiting, this.inFlight, this.bytes, ...Object.values(this.rates)]
    if (this.times.length > POINTS_MAX) lists.forEach((list) => list.shift())
  }

  get last () { return this.infos[this.infos.length - 1] }

  rate (name) {
    const list = this.rates[name]
    return list.length ? list[list.length - 1] : null
  }
}
