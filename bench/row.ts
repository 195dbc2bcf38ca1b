/** One figure with the bar that it must reach. `peer` is the rival or limit measured in the same run. */
export interface Row {
  row: string
  value: number
  unit: string
  bar: string
  ok: boolean
  peer?: string
}
