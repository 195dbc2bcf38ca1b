import type { CapacityType } from './capacity.ts'
import { migModel, partsOf } from './mig.ts'

/** Accelerators that we know by name, and what they cost. Every price has its source and date, or it isn't here. */
export interface AcceleratorInfo {
  /** The spelling that users of SkyPilot and dstack type. */
  model: string
  memoryGiB: number
  /** Matches what drivers and GPU Operator call the product, with spaces or dashes. */
  product: RegExp
  /** On demand. */
  prices: readonly Price[]
  /** Of the same where it may be taken away: the median over the zones of the US that have it. */
  spot?: Price
}

export interface Price {
  provider: 'aws' | 'gcp' | 'azure'
  instance: string
  accelerators: number
  usdPerHour: number
  source: string
  /** As YYYY-MM-DD, or 'undated'. */
  date: string
}

export interface SlotPrice {
  usdPerHour: number
  /** A sentence on where the figure comes from. */
  basis: string
}

/**
 * What one accelerator (or slot) costs per hour. The pool's own price goes first, then what the catalogue knows of spot for
 * spot, then its newest dated price, then an undated one. `undefined`: unpriced, and to be shown as that. List prices: a
 * reservation costs less and spot what the hour makes of it, so a pool with either should state its own.
 */
export function slotPrice(
  model: string,
  poolPrice?: number | undefined,
  capacityType: CapacityType = 'on-demand',
): SlotPrice | undefined {
  if (poolPrice !== undefined) return { usdPerHour: poolPrice, basis: 'pricePerSlotHour of the pool' }
  if (model === 'cpu') return cpuSlotPrice
  const info = acceleratorInfo(model)
  const spot = capacityType === 'spot' ? info?.spot : undefined
  const known = spot ?? newestOf(info?.prices ?? [])
  if (known === undefined) return undefined
  const { provider, instance, accelerators, usdPerHour, source, date } = known
  const how = spot === undefined ? 'on demand' : 'spot'
  return {
    usdPerHour: usdPerHour / accelerators,
    basis: `${provider} ${instance} ${how}, ${usdPerHour} USD/h for ${accelerators} (${source}, ${date})`,
  }
}

/** A pool's price is of its own accelerator: the CPU slots beside its GPUs have none of it. */
export function slotPriceIn(
  pool: { accelerator: string; pricePerSlotHour?: number | undefined; capacityType: CapacityType } | undefined,
  model: string,
): SlotPrice | undefined {
  const isItsOwn = pool?.accelerator.toLowerCase() === model.toLowerCase()
  return slotPrice(model, isItsOwn ? pool.pricePerSlotHour : undefined, pool?.capacityType)
}

/** Your own machine sends no bill: 0 until the pool says what a slot is worth. A guess would be worse than zero. */
export const cpuSlotPrice: SlotPrice = {
  usdPerHour: 0,
  basis: 'your own machine; set pricePerSlotHour in the Pool to price a cpu slot',
}

export function acceleratorInfo(model: string): AcceleratorInfo | undefined {
  return byLowerCase.get(model.toLowerCase())
}

/** The catalogue's spelling of `written` (`h100` → `H100`), or `written` itself when we don't know it. */
export function canonicalModel(written: string): string {
  const slice = partsOf(written)
  if (slice !== undefined) {
    return migModel(slice.card === undefined ? undefined : canonicalModel(slice.card), slice.profile)
  }
  const lower = written.toLowerCase()
  return lower === 'cpu' || lower === 'gpu' ? lower : (byLowerCase.get(lower)?.model ?? written)
}

/**
 * The model of a device by the name that its driver reports (`NVIDIA H100 80GB HBM3`, `NVIDIA-A100-SXM4-40GB`). An
 * unknown one keeps its name, with what a quantity of `MODEL:COUNT` cannot hold turned into dashes.
 */
export function modelOfProduct(product: string): string {
  const known = catalogue.find((accelerator) => accelerator.product.test(product))
  if (known !== undefined) return known.model
  const cleaned = product
    .replace(/^NVIDIA[ -]/i, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z]+/, '')
    .replace(/-+$/, '')
  return cleaned === '' ? 'gpu' : cleaned.slice(0, 63)
}

const dataReceipts = 'data-receipts'
const skypilot = 'SkyPilot catalogue v8'

/** Prices: facts/infrastructure.md §3. Memory: NVIDIA's data sheets. The order decides which product pattern wins. */
export const catalogue: readonly AcceleratorInfo[] = [
  {
    model: 'GB200',
    memoryGiB: 186,
    product: /\bGB200\b/i,
    prices: [price('azure', 'ND128isr_GB200_v6', 4, 108.16, 'retail API', '2026-09-30')],
  },
  {
    model: 'B300',
    memoryGiB: 270,
    product: /\bB300\b/i,
    prices: [price('aws', 'p6-b300.48xlarge', 8, 142.42, skypilot, 'undated')],
  },
  {
    model: 'B200',
    memoryGiB: 180,
    product: /\bB200\b/i,
    prices: [price('aws', 'p6-b200.48xlarge', 8, 113.93, skypilot, 'undated')],
  },
  {
    model: 'H200',
    memoryGiB: 141,
    product: /\bH200\b/i,
    prices: [
      price('aws', 'p5en.48xlarge', 8, 63.296, 'dstack PR#4110', '2026-08-06'),
      price('gcp', 'a3-ultragpu-8g', 8, 83.49, 'billing API', '2026-10-13'),
      price('azure', 'ND96isr_H200_v5', 8, 84.8, 'secondary source', 'undated'),
    ],
  },
  {
    model: 'H100',
    memoryGiB: 80,
    product: /\bH100\b/i,
    prices: [
      price('aws', 'p5.48xlarge', 8, 55.04, dataReceipts, '2026-11-09'),
      price('gcp', 'a3-highgpu-8g', 8, 88.49, 'gcosts, us-central1', '2026-02-12'),
      price('azure', 'ND96isr_H100_v5', 8, 98.32, 'retail API', '2026-09-30'),
    ],
    spot: price('aws', 'p5.48xlarge', 8, 21.62, skypilot, 'undated'),
  },
  {
    model: 'A100-80GB',
    memoryGiB: 80,
    product: /\bA100\b.*\b80GB\b/i,
    prices: [
      price('aws', 'p4de.24xlarge', 8, 27.45, dataReceipts, '2026-11-09'),
      price('azure', 'ND96amsr_A100_v4', 8, 32.8, 'secondary source', 'undated'),
    ],
    spot: price('aws', 'p4de.24xlarge', 8, 12.83, skypilot, 'undated'),
  },
  {
    model: 'A100',
    memoryGiB: 40,
    product: /\bA100\b/i,
    prices: [
      price('aws', 'p4d.24xlarge', 8, 21.96, dataReceipts, '2026-11-09'),
      price('gcp', 'a2-highgpu-1g', 1, 3.67, 'secondary source', 'undated'),
    ],
  },
  {
    model: 'A10G',
    memoryGiB: 24,
    product: /\bA10G\b/i,
    prices: [price('aws', 'g5.xlarge', 1, 1.006, 'secondary source', 'undated')],
  },
  { model: 'L40S', memoryGiB: 48, product: /\bL40S\b/i, prices: [] },
  { model: 'L4', memoryGiB: 24, product: /\bL4\b/i, prices: [] },
  { model: 'T4', memoryGiB: 16, product: /\bT4\b/i, prices: [] },
  {
    model: 'V100',
    memoryGiB: 16,
    product: /\bV100\b/i,
    prices: [price('aws', 'p3.16xlarge', 8, 24.48, skypilot, 'undated')],
    spot: price('aws', 'p3.16xlarge', 8, 4.41, skypilot, 'undated'),
  },
]

const byLowerCase: ReadonlyMap<string, AcceleratorInfo> = new Map(
  catalogue.map((accelerator) => [accelerator.model.toLowerCase(), accelerator]),
)

function price(
  provider: Price['provider'],
  instance: string,
  accelerators: number,
  usdPerHour: number,
  source: string,
  date: string,
): Price {
  return { provider, instance, accelerators, usdPerHour, source, date }
}

function newestOf(prices: readonly Price[]): Price | undefined {
  let newest: Price | undefined
  for (const price of prices) if (newest === undefined || isNewer(price, newest)) newest = price
  return newest
}

/** Dates in ISO order compare as strings; 'undated' is older than any. */
function isNewer(price: Price, than: Price): boolean {
  return price.date !== 'undated' && (than.date === 'undated' || price.date > than.date)
}
