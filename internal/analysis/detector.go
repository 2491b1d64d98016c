package analysis

// Detector looks for a fault that begins late. A Process that has watched a healthy
// candidate for hours has to climb out of a hole first; a detector forgets good news: per
// alternative, its value is at least 1 before each window is multiplied in. This is the
// CUSUM form of the e-detectors of Shin, Ramdas and Rinaldo: when it raises an alarm at A,
// the mean time to a false one is at least A windows. Unlike a Process it will raise a
// false alarm some day, so it has no place in the verdict of a step.
type Detector struct{ p Process }

// NewDetector returns a detector that has seen nothing. Errors: as NewProcess.
func NewDetector(margin float64, alternatives []Alternative) (*Detector, error) {
	p, err := NewProcess(margin, alternatives)
	if err != nil {
		return nil, err
	}
	return &Detector{*p}, nil
}

// Observe takes in the tables of one window, which are one step of the detector's time.
// Errors: ErrInvalid when a table does not pass Check; nothing has changed then.
func (d *Detector) Observe(tables ...Table) error {
	steps, err := logSteps(d.p.margin, d.p.alternatives, tables)
	if err != nil {
		return err
	}
	d.step(steps, len(tables))
	return nil
}

func (d *Detector) step(steps []float64, tables int) {
	for j, s := range steps {
		d.p.log[j] = max(d.p.log[j], 0) + s
	}
	d.p.tables = plus(d.p.tables, int64(tables))
}

// LogD returns the logarithm of the detector's value; an alarm is due at ln A.
func (d *Detector) LogD() float64 { return d.p.LogE() }

// MarshalJSON writes the state such that UnmarshalJSON restores every bit of it.
func (d *Detector) MarshalJSON() ([]byte, error) { return d.p.MarshalJSON() }

// UnmarshalJSON reads what MarshalJSON wrote, strictly. Errors: ErrCorrupt; the detector
// is as before then.
func (d *Detector) UnmarshalJSON(body []byte) error { return d.p.UnmarshalJSON(body) }
