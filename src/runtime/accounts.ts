/** The ledger's pages as tables; see `observe/ledger-summary`. */
export { summarise } from '../observe/ledger.ts'
