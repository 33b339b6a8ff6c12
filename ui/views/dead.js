// SPDX-License-Identifier: Apache-2.0
// Dead letters: what was given up, why, and another chance for it.
import { ask, askAll } from '../api.js'
import { button, redriveButton, run } from '../act.js'
import { badge, bytes, count, fill, h, table, time } from '../dom.js'
import { groupLink } from './groups.js'

const SHOWN = 100

export const dead = {
  title: () => 'Dead letters',
  show (place, state) {
    let opened = null
    return async () => {
      const { all } = await askAll('DLQ.LIST', 'groups')
      const { jobs } = await ask('DLQ.JOBS')
      if (!all.some((one) => one.group_id === opened)) opened = all.length ? all[0].group_id : null
      const { messages } = opened === null ? { messages: [] } : await ask('MSG.LIST', { group_id: opened, state: 'dead', limit: SHOWN })
      fill(place,
        h('h1', {}, 'Dead letters'),
        table('Groups with dead messages', [
          { title: 'Group', cell: groupLink },
          { title: 'Channel', cell: (one) => one.channel },
          { title: 'Dead', number: true, cell: (one) => badge(count(one.dead.messages), 'bad') },
          { title: 'Bytes', number: true, wide: true, cell: (one) => bytes(one.dead.bytes) },
          { title: 'Newest', wide: true, cell: (one) => time(one.dead.newest_since) },
          { title: '', cell: (one) => h('span.actions', {},
            h('button.quiet', { type: 'button', 'data-key': `open-${one.group_id}`, 'aria-pressed': String(one.group_id === opened), onclick: () => { opened = one.group_id; state.refresh() } }, 'Show'),
            redriveButton(state, one.group_id, 'Redrive all', { all: true })) }
        ], all, 'Nothing is dead.'),
        messages.length ? [h('h2', {}, `Dead in ${all.find((one) => one.group_id === opened).group}`), table('Dead messages', [
          { title: 'Sequence', number: true, cell: (one) => count(one.sequence) },
          { title: 'Reason', cell: (one) => one.reason || '–' },
          { title: 'Attempts', number: true, cell: (one) => count(one.attempts) },
          { title: 'Since', cell: (one) => time(one.since) },
          { title: 'Copy', wide: true, cell: (one) => one.dead_letter ? `${one.dead_letter.channel} ${count(one.dead_letter.sequence)}` : '–' },
          { title: '', cell: (one) => redriveButton(state, opened, `Redrive ${one.sequence}`, { sequences: [one.sequence] }) }
        ], messages)] : null,
        jobs.length ? [h('h2', {}, 'Redrives'), table('Redrives', [
          { title: 'Group', cell: (job) => job.group },
          { title: 'State', cell: (job) => badge(job.state, job.state === 'done' ? 'good' : 'warn') },
          { title: 'Redriven', number: true, cell: (job) => `${count(job.redriven)} of ${count(job.total)}` },
          { title: 'Gone', number: true, wide: true, cell: (job) => count(job.gone) },
          { title: '', cell: (job) => job.state === 'running' ? button('Cancel', `cancel-${job.job}`, () => run(state, 'Cancelled.', 'DLQ.CANCEL', { job: job.job })) : null }
        ], [...jobs].reverse())] : null)
    }
  }
}
