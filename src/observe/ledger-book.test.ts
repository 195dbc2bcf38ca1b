import { expect, test } from 'vitest'
import { LedgerBook } from './ledger-book.ts'
import { Page } from './ledger-page.ts'

test('a gang whose last provisional time is settled is let go of, also where nobody asks for it again', () => {
  const book = new LedgerBook()
  const page = new Page({ node: 'a', pool: 'local', accelerator: 'cpu', fromMs: 0 })
  book.add(page)
  const of = { owner: 'TrainingJob/default/j', queue: 'default', gang: 'default/j uid-j', checkpoint: '' }
  for (const attempt of [1, 2]) book.addProvisional(page, { ...of, attempt }, 1000, false)
  book.settle(of.gang, 'lost', ({ attempt }) => attempt < 2)
  expect(book.gangs()).toEqual([of.gang])
  book.settle(of.gang, 'lost')
  expect(book.gangs()).toEqual([])
})
