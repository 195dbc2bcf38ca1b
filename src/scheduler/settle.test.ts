import { describe, expect, test } from 'vitest'
import { statusAfter } from './committed.ts'
import type { Verdict } from './contract.ts'
import { createScheduler } from './scheduler.ts'
import { Story, said } from './story.fixture.ts'

function fleet(devices: string) {
  const scheduler = createScheduler()
  const told = new Story(scheduler)
  told.queue('default')
  told.node('a', devices)
  /** Decides once; nothing is written. */
  const decide = () => scheduler.decide(told.nowMs)
  const one = (): Verdict => {
    const [verdict, ...others] = decide()
    if (verdict === undefined || others.length > 0) throw new Error('one verdict was expected')
    return verdict
  }
  /** What the verdict makes of its gang comes to be known, before or after the scheduler is told that it was written. */
  const write = (verdict: Verdict) => {
    const gang = told.world.gangOf(verdict.gang)
    told.world.put({ ...gang, status: statusAfter(gang, verdict, { epoch: 1, nowMs: told.nowMs }) })
  }
  return { told, scheduler, decide, one, write }
}

describe('a verdict that was not written yet', () => {
  test('is not given twice: neither before it is written, nor before that is known', () => {
    const { told, scheduler, decide, one, write } = fleet('cpu:2')
    told.gang('g', '1x')
    const verdict = one()
    expect(said(verdict)).toMatch(/^g#1 sits/)
    expect(decide()).toEqual([])
    told.world.edit('default/g', { priority: 1 })
    expect(decide(), 'another version is known, and it is not known what came of the write').toEqual([])
    scheduler.settle(verdict, 'stale')
    const again = one()
    scheduler.settle(again, 'committed')
    expect(decide()).toEqual([])
    write(again)
    expect(decide()).toEqual([])
  })

  test('is settled by none but itself', () => {
    const { told, scheduler, decide, one } = fleet('cpu:1')
    told.gang('g', '1x')
    const verdict = one()
    told.gang('other', '1x')
    told.decide()
    const wait: Verdict = { ...verdict, kind: 'wait', reason: '', message: '' }
    for (const not of [wait, { ...verdict, resourceVersion: '0' }, { ...verdict, gang: 'default/other' }]) {
      scheduler.settle(not, 'stale')
      told.change('other', { priority: 1 })
      expect(decide().filter(({ kind }) => kind === 'bind')).toEqual([])
    }
  })

  test('keeps its seats from others until it is known what came of it: one found stale may have been written before', () => {
    for (const isWritten of [true, false]) {
      const { told, scheduler, decide, one, write } = fleet('cpu:1')
      told.gang('g', '1x')
      const verdict = one()
      told.gang('other', '1x')
      const waits = one()
      expect(waits.kind).toBe('wait')
      told.commit(waits)
      scheduler.settle(verdict, 'stale')
      expect(decide()).toEqual([])
      if (isWritten) write(verdict)
      else told.world.edit('default/g', { suspend: true })
      expect(decide().map(said)).toEqual(isWritten ? [] : ['other#1 sits 0@a/cpu-0:20001'])
    }
  })

  test('of waiting lets nobody sit before it is settled', () => {
    const { told, scheduler, decide, one } = fleet('cpu:1')
    told.gang('wide', '2x')
    const verdict = one()
    expect(verdict.kind).toBe('wait')
    told.node('b', 'cpu:1')
    expect(decide()).toEqual([])
    told.commit(verdict)
    expect(decide().map(({ kind }) => kind)).toEqual(['bind'])
    scheduler.settle(verdict, 'stale')
  })
})

test('whoever waits takes from one that has come once its write has ended, whichever is told first', () => {
  for (const order of ['settled first', 'known first']) {
    const { told, scheduler, decide, write } = fleet('H100:4')
    told.queue('left')
    told.queue('right')
    told.gang('large', '3xH100:1', { queue: 'left', priority: 1 })
    told.gang('small', '2xH100:1', { queue: 'right' })
    const [sits, waits] = decide()
    if (sits === undefined || waits === undefined) throw new Error('two verdicts were expected')
    expect([sits.kind, waits.kind]).toEqual(['bind', 'wait'])
    told.commit(waits)
    if (order === 'known first') write(sits)
    else scheduler.settle(sits, 'committed')
    expect(decide(), order).toEqual([])
    if (order === 'known first') scheduler.settle(sits, 'committed')
    else write(sits)
    expect(decide().map(said), order).toEqual([
      expect.stringMatching(/^small#1 will sit .* when these have left: large \(InCohortFairSharing\)$/),
    ])
  }
})

describe('who displaced whom', () => {
  function displaced() {
    const { told, scheduler } = fleet('cpu:1')
    told.gang('low', '1x')
    told.decide()
    told.gang('high', '1x', { priority: 1 })
    told.decide()
    return { told, scheduler, by: (of = scheduler) => [...of.displaced.displacersOf('default/low')] }
  }

  test('is remembered from what is told, by one who starts anew too', () => {
    const { told, by } = displaced()
    expect(by()).toEqual(['default/high'])
    const again = createScheduler()
    for (const object of told.gangs.values()) again.apply({ kind: 'Gang', object })
    expect(by(again)).toEqual(['default/high'])
  })

  test('is forgotten with whoever ends: those who had to spare others because of it look again', () => {
    const { told } = fleet('cpu:1')
    const play = () => void told.world.play()
    for (const [name, priority] of [
      ['one', 0],
      ['two', 1],
      ['three', 2],
    ] as const) {
      told.gang(name, '1x', { priority })
      play()
    }
    told.change('one', { priority: 9 })
    expect(told.decide(), 'three displaced two, and two displaced one').toEqual([])
    told.apply({ kind: 'Gang', deleted: 'default/two' })
    expect(told.decide()).toEqual([expect.stringMatching(/^one#2 will sit .* when these have left: three /)])
  })

  test('is forgotten when a queue changes, but not when the same is told again; and is not remembered a second time', () => {
    const { told, by } = displaced()
    told.queue('default')
    expect(by()).toEqual(['default/high'])
    told.queue('default', { weight: 2 })
    expect(by()).toEqual([])
    told.world.edit('default/high', {}, { restartSeconds: 3 })
    expect(by()).toEqual([])
  })
})

describe('when something is found wrong while others are decided about', () => {
  test('nobody was decided about, and all are when it is right again', () => {
    const { told, scheduler, decide } = fleet('cpu:2')
    told.gang('g', '1x')
    told.gang('h', '1x')
    const { fleet: free, gangs } = scheduler
    const attempt = free.attempt.bind(free)
    let isRight = false
    free.attempt = (work) => {
      if (!isRight && gangs.get('default/g')?.inFlight !== undefined) throw new Error('a broken invariant')
      return attempt(work)
    }
    expect(decide).toThrow('a broken invariant')
    isRight = true
    expect(decide().map(said)).toEqual([expect.stringMatching(/^g#1 sits/), expect.stringMatching(/^h#1 sits/)])
  })
})
