import { expect, test } from 'vitest'
import { Seats } from './seats.ts'
import { StopText } from './stop-text.ts'

const stays = new AbortController().signal
const any = (free: readonly number[]) => free[0] ?? -1

test('seats go in arrival order, and past the queue the answer is full', async () => {
  const seats = new Seats(1, 2)
  expect(await seats.take(any, stays)).toBe(0)
  const order: string[] = []
  const second = seats.take(any, stays).then((seat) => order.push(`second ${seat}`))
  const third = seats.take(any, stays).then((seat) => order.push(`third ${seat}`))
  expect(await seats.take(any, stays)).toBe('full')
  expect([seats.running, seats.queued]).toEqual([1, 2])
  seats.give(0)
  await second
  seats.give(0)
  await third
  expect(order).toEqual(['second 0', 'third 0'])
})

test('whoever leaves the queue makes room and is never seated', async () => {
  const seats = new Seats(1, 1)
  await seats.take(any, stays)
  const client = new AbortController()
  const waiting = seats.take(any, client.signal)
  client.abort()
  expect(await waiting).toBe('left')
  expect(seats.queued).toBe(0)
  seats.give(0)
  expect(seats.running).toBe(0)
})

test('the chooser gets the free seats only', async () => {
  const seats = new Seats(3, 0)
  expect(await seats.take(() => 1, stays)).toBe(1)
  expect(await seats.take((free) => (free.includes(1) ? 1 : 2), stays)).toBe(2)
})

test('a stop sequence is cut wherever its pieces arrive, and no part of it is sent', () => {
  const stopText = new StopText(['END', '\n\n'])
  const sent = ['one E', 'N', 'X two\n', ' E', 'ND three'].map((piece) => stopText.push(piece))
  expect(sent).toEqual(['one ', '', 'ENX two', '\n ', ''])
  expect(stopText.stopped).toBe(true)
  expect(stopText.rest()).toBe('')
})

test('text held back as a possible stop is sent when the end comes first', () => {
  const stopText = new StopText(['END'])
  expect(stopText.push('the EN')).toBe('the ')
  expect(stopText.rest()).toBe('EN')
})
