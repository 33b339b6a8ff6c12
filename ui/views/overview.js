// SPDX-License-Identifier: Apache-2.0
// How it goes: rates and what is pending over time, and the groups with the most to do.
import { askAll } from '../api.js'
import { chart } from '../charts.js'
import { age, bytes, count, fill, h, rate, tile } from '../dom.js'
import { groupTable } from './groups.js'

const TOP = 10

export const overview = {
  title: () => 'Overview',
  show (place, state) {
    const tiles = h('div.tiles', {})
    const rates = chart('Messages a second', ['published', 'delivered', 'acknowledged'], (value) => rate(value))
    const pending = chart('Pending', ['waiting', 'in flight'], (value) => count(Math.round(value)))
    const size = chart('Bytes pending', ['bytes'], bytes)
    const top = h('section', {})
    fill(place, h('h1', {}, 'Overview'), tiles, h('div.charts', {}, rates, pending, size), top)
    return async (info) => {
      const { history } = state
      const { totals } = info
      fill(tiles,
        tile('Waiting', count(totals.waiting.messages), bytes(totals.waiting.bytes)),
        tile('In flight', count(totals.in_flight.messages), bytes(totals.in_flight.bytes)),
        tile('Dead', count(totals.dead.messages), 'given up', totals.dead.messages ? 'bad' : ''),
        tile('Published', rate(history.rate('published')), `${count(totals.published)} ever`),
        tile('Stored', count(totals.messages), `${bytes(totals.bytes)} in ${count(totals.channels)} channels`),
        tile('Log', info.log ? info.log.state : info.store, info.disk ? `${bytes(info.disk.free_bytes)} free` : `up ${age(info.uptime_ms)}`, info.log && info.log.state !== 'serving' ? 'bad' : ''))
      rates.show(history.times, [history.rates.published, history.rates.delivered, history.rates.acked])
      pending.show(history.times, [history.waiting, history.inFlight])
      size.show(history.times, [history.bytes])
      const { all } = await askAll('GROUP.LIST', 'groups', {}, 1000)
      const most = all.sort((a, b) => b.waiting.messages + b.in_flight.messages - a.waiting.messages - a.in_flight.messages).slice(0, TOP)
      fill(top, h('h2', {}, 'Most to do'), groupTable('Groups with the most messages that are not finished', most))
    }
  }
}
