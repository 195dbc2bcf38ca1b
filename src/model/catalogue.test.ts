import { expect, test } from 'vitest'
import { canonicalModel, catalogue, modelOfProduct, slotPrice, slotPriceIn } from './catalogue.ts'

test('every price has a source and a date', () => {
  for (const price of catalogue.flatMap(({ prices, spot }) => [...prices, ...(spot === undefined ? [] : [spot])])) {
    expect(price.source).not.toBe('')
    expect(price.date).toMatch(/^(20\d\d-\d\d-\d\d|undated)$/)
    expect(price.usdPerHour / price.accelerators).toBeGreaterThan(0.5)
  }
})

test('the newest dated price is per accelerator, and says where it is from', () => {
  expect(slotPrice('h100')).toEqual({
    usdPerHour: 6.88,
    basis: 'aws p5.48xlarge on demand, 55.04 USD/h for 8 (data-receipts, 2026-11-09)',
  })
  expect(slotPrice('H200')?.basis).toContain('2026-10-13')
  expect(slotPrice('GB200')?.usdPerHour).toBe(27.04)
})

test("the pool's price wins; what we don't know is unpriced; an own machine costs nothing until it says so", () => {
  expect(slotPrice('H100', 2)?.usdPerHour).toBe(2)
  expect(slotPrice('cpu', 0.04)?.usdPerHour).toBe(0.04)
  expect(slotPrice('MyChip')).toBeUndefined()
  expect(slotPrice('L4')).toBeUndefined()
  expect(slotPrice('cpu')).toMatchObject({ usdPerHour: 0 })
})

test('spot has a price of its own where one is known', () => {
  expect(slotPrice('H100', undefined, 'spot')).toEqual({
    usdPerHour: 21.62 / 8,
    basis: 'aws p5.48xlarge spot, 21.62 USD/h for 8 (SkyPilot catalogue v8, undated)',
  })
  expect(slotPrice('H200', undefined, 'spot')).toEqual(slotPrice('H200'))
  const pool = { accelerator: 'h100', capacityType: 'spot' as const }
  expect(slotPriceIn(pool, 'H100')?.basis).toContain('spot')
  expect(slotPriceIn({ ...pool, pricePerSlotHour: 1 }, 'H100')?.usdPerHour).toBe(1)
  for (const { prices, spot } of catalogue) {
    const dearest = Math.max(...prices.map(({ usdPerHour, accelerators }) => usdPerHour / accelerators))
    if (spot !== undefined) expect(spot.usdPerHour / spot.accelerators).toBeLessThan(dearest)
  }
})

test.each([
  ['NVIDIA H100 80GB HBM3', 'H100'],
  ['NVIDIA H200', 'H200'],
  ['NVIDIA GB200', 'GB200'],
  ['NVIDIA-A100-SXM4-80GB', 'A100-80GB'],
  ['NVIDIA A100-SXM4-40GB', 'A100'],
  ['NVIDIA A100 80GB PCIe', 'A100-80GB'],
  ['NVIDIA A10G', 'A10G'],
  ['Tesla T4', 'T4'],
  ['Tesla V100-SXM2-16GB', 'V100'],
  ['NVIDIA GeForce RTX 4090', 'GeForce-RTX-4090'],
  ['NVIDIA L40S', 'L40S'],
  ['NVIDIA L4', 'L4'],
  ['???', 'gpu'],
])('the driver says %s, users say %s', (product, model) => expect(modelOfProduct(product)).toBe(model))

test('spellings', () => expect(['CPU', 'h100', 'Odd'].map(canonicalModel)).toEqual(['cpu', 'H100', 'Odd']))
