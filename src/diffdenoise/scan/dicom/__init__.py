"""DICOM: from files to series, a series as a scan, and a derived series of the result."""
