// SPDX-License-Identifier: Apache-2.0
// The server itself: its log, its store, its sums.
import { chart } from '../charts.js'
import { age, bytes, count, facts, fill, h, time } from '../dom.js'

const us = (value) => value === undefined ? '–' : value < 1000 ? `${Math.round(value)} µs` : `${(value / 1000).toFixed(1)} ms`

export const server = {
  title: () => 'Server',
  show (place, state) {
    const sync = chart('Sync of the log', ['half within', '99 of 100 within'], us)
    const log = h('section', {})
    fill(place, h('h1', {}, 'Server'), h('div.charts', {}, sync), log)
    return async (info) => {
      const { history } = state
      const line = (name) => history.infos.map((one) => one.log && one.log[name] !== undefined ? one.log[name] : null)
      sync.show(history.times, [line('sync_p50_us'), line('sync_p99_us')])
      fill(log,
        h('h2', {}, 'Log'),
        facts([['State', info.log ? info.log.state : 'none: a memory store'], ['Store', info.store], ['Sync', info.sync],
          info.log && ['Bytes', bytes(info.log.bytes)], info.disk && ['Free on the disk', `${bytes(info.disk.free_bytes)} of ${bytes(info.disk.size_bytes)}`],
          info.log && ['Sync, half within', us(info.log.sync_p50_us)], info.log && ['Sync, 99 of 100 within', us(info.log.sync_p99_us)]]),
        h('h2', {}, 'Server'),
        facts([['Name', info.name], ['Version', info.version], ['Cluster', info.cluster_id], ['Id', info.server_id], ['Started', time(info.start)], ['Up', age(info.uptime_ms)],
          ['Connections', count(info.totals.connections)], ['Clients', count(info.totals.clients)], ['Channels', count(info.totals.channels)],
          ['Groups', count(info.totals.groups)], ['Members', count(info.totals.members)], ['Delivered', count(info.totals.delivered)],
          ['Redelivered', count(info.totals.redelivered)], ['Acknowledged', count(info.totals.acked)]]),
        h('p.hint', {}, 'More: ', h('a', { href: '../varz' }, '/varz'), ', ', h('a', { href: '../metrics' }, '/metrics'), ', ', h('a', { href: '../' }, 'all pages')))
    }
  }
}
